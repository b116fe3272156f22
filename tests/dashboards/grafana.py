"""Runs every query of Modelship's boards through a real Grafana that has loaded them.

    python3 tests/dashboards/grafana.py URL USER:PASSWORD [SECONDS]

Waits until Grafana has the boards and each shows something, SECONDS at the most (300), and fails when a query is answered
with an error. Queries without data are told, and are no failure: a model without a limit has no limit to show.
"""

import base64
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# One model's, that of all models, the operator's.
FEWEST_BOARDS = 3


class Grafana:
    def __init__(self, url, login):
        self.url = url.rstrip("/")
        self.headers = {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(login.encode()).decode()}

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            # Grafana answers a query that failed with an error status, and says in the body why.
            text = error.read().decode(errors="replace")
            return {"error": f"{error.code} {text[:300]}"}

    def prometheus(self):
        sources = [source for source in self.ask("/api/datasources") if source["type"] == "prometheus"]
        return next((source["uid"] for source in sources if source["isDefault"]), sources[0]["uid"])

    def boards(self):
        found = self.ask("/api/search?type=dash-db&tag=modelship")
        return [self.ask("/api/dashboards/uid/" + urllib.parse.quote(board["uid"]))["dashboard"] for board in found]


def queries(board):
    """Title, query and whether it is an instant one: of variables, annotations and panels."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])[1], True
    for annotation in board["annotations"]["list"]:
        if "expr" in annotation:
            yield f"annotation {annotation['name']}", annotation["expr"], False
    for panel in [inner for panel in board["panels"] for inner in [panel, *panel.get("panels", [])]]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']} {target['refId']}", target["expr"], target.get("instant", False)


def interpolated(query, board):
    """With the variables that a browser would put in; Grafana itself puts in $__rate_interval."""
    for variable in board["templating"]["list"]:
        value = variable["query"] if variable["type"] == "constant" else ".+"
        query = re.sub(r"\$\{%s\}|\$%s\b" % (variable["name"], variable["name"]), lambda _: value, query)
    return query


def run(grafana, source, query, instant):
    """(error, whether there is data)"""
    asked = {
        "refId": "A", "datasource": {"type": "prometheus", "uid": source}, "expr": query,
        "instant": instant, "range": not instant, "intervalMs": 15000, "maxDataPoints": 200,
    }  # fmt: skip
    answer = grafana.ask("/api/ds/query", {"from": "now-15m", "to": "now", "queries": [asked]})
    result = answer.get("results", {}).get("A", {})
    error = result.get("error") or answer.get("error") or answer.get("message")
    return error, any(column for frame in result.get("frames", []) for column in frame["data"]["values"])


def look(grafana):
    """(what is wrong, what is empty, how many queries ran)"""
    source, wrong, empty, ran = grafana.prometheus(), [], [], 0
    boards = grafana.boards()
    if len(boards) < FEWEST_BOARDS:
        wrong.append(f"Grafana has {len(boards)} boards of Modelship, not {FEWEST_BOARDS}")
    for board in boards:
        shown = False
        for title, query, instant in queries(board):
            error, data = run(grafana, source, interpolated(query, board), instant)
            ran, shown = ran + 1, shown or (data and title.startswith("panel"))
            if error:
                wrong.append(f"{board['title']}: {title}: {error}")
            elif not data:
                empty.append(f"{board['title']}: {title}")
        if not shown:
            wrong.append(f"{board['title']}: no panel shows anything")
    return wrong, empty, ran


def main(url, login, seconds="300"):
    grafana, deadline = Grafana(url, login), time.monotonic() + float(seconds)
    while True:
        try:
            wrong, empty, ran = look(grafana)
        except (OSError, LookupError, TypeError) as error:
            wrong, empty, ran = [f"Grafana does not answer as it should: {error!r}"], [], 0
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(5)
    for title in empty:
        print(f"no data: {title}")
    for fault in wrong:
        print(f"wrong: {fault}", file=sys.stderr)
    print(f"{ran} queries, {len(empty)} without data, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
