"""Series that one model has in Prometheus, by how many requests it has had."""

import asyncio
import threading
import time

import modelship
import specs
import traffic
from exposition import samples
from pages import model_labels
from processes import free_ports, get, running, wait_for
from prometheus import Prometheus, figure, groups, target
from table import head, method, row, title

PAGE, SCRAPE = "on the exporter's page", "added by each scrape (up, …)"
RECORDED, ALERTS = "recorded", "alerts, pending or firing"

# Of a request, on a slow machine: a bound, not an aim.
SECONDS_EACH = 0.01


def measure(folder, marks):
    """Returns the exporter's page at the end, with everything on."""
    title("Series of one model in Prometheus")
    method(
        f"""The real exporter in front of a model on the loopback, with the settings that its spec leads to, and a real
        Prometheus that scrapes it, and evaluates the model's rules, every second. Counted by PromQL once two scrapes, and then two rounds
        of the rules, were over that began after the last request. {traffic.CONNECTIONS} clients; every second
        request is a prediction of a class never seen before and of one of three that recur (declared, where everything is
        on); of the others each has a path of its own, and one in five a method of its own. Not in it: the operator's and
        the kubelet's series, whose number is fixed; on the page process_*, which need a pod."""
    )
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    for number, (name, spec) in enumerate(specs.SPECS.items()):
        counts, page = follow(folder / f"series-{number}", spec, marks, loop)
        print_counts(name, marks, counts)
    return page


def follow(folder, spec, marks, loop):
    deployment = specs.deployments(spec, 1)[0]
    modelship.settings(deployment, folder / "settings")
    rules = modelship.rules([deployment], folder / "plain")
    model, listen, metrics, probes, own = free_ports(5)

    def on_loop(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    server = on_loop(traffic.model(model))
    command = [modelship.EXPORTER, f"--upstream=127.0.0.1:{model}", "--health-path=/ping"]
    command += [f"--settings={folder / 'settings'}", f"--listen=127.0.0.1:{listen}"]
    command += [f"--metrics-listen=127.0.0.1:{metrics}", f"--probes-listen=127.0.0.1:{probes}"]
    prometheus = Prometheus(folder / "prometheus", own, 1)
    prometheus.configure([target(f"127.0.0.1:{metrics}", "/metrics", model_labels(0))], rules)
    counts, sent = [], 0
    with running(command, folder / "exporter.log"):
        page = wait_for("the model is up", lambda: up(metrics))
        with prometheus.running():
            for mark in [0, *marks]:
                on_loop(traffic.send(listen, range(sent, mark), 60 + SECONDS_EACH * (mark - sent)))
                sent = mark
                wait_for("all requests are counted", lambda: counted(metrics) >= sent)
                settle(prometheus)
                page = get(f"http://127.0.0.1:{metrics}/metrics")
                counts.append(count(prometheus, page))
            if failures := figure(prometheus.own(), "prometheus_rule_evaluation_failures_total"):
                raise SystemExit(f"{failures:.0f} evaluations of rules failed; see {folder / 'prometheus' / 'log'}")
    loop.call_soon_threadsafe(server.close)
    return counts, page


def up(port):
    page = get(f"http://127.0.0.1:{port}/metrics")
    return page if "\nmodel_up 1\n" in page else None


def counted(port):
    page = samples(get(f"http://127.0.0.1:{port}/metrics"))
    return sum(one.value for one in page if one.name == "http_requests_total")


def settle(prometheus):
    # Two: what is new has an increase from its second sample on.
    for _ in range(2):
        now = time.time()
        wait_for("the page is scraped", lambda: prometheus.number("timestamp(up)") > now)
    before = groups(prometheus.own(), "iterations_total")
    wait_for(
        "two rounds of the rules",
        lambda: all(
            count >= before.get(group, 0) + 2 for group, count in groups(prometheus.own(), "iterations_total").items()
        ),
    )


def count(prometheus, page):
    its = f'namespace="{specs.NAMESPACE}",model="{specs.name(0)}"'
    by_name = {
        metric["__name__"]: value for metric, value in prometheus.query(f"count by (__name__) ({{{its}}})")
    }
    kinds = dict.fromkeys([PAGE, SCRAPE, RECORDED, ALERTS], 0)
    page_names = {one.name for one in samples(page)}
    for name, value in by_name.items():
        kinds[kind(name, page_names)] += int(value)
    return kinds, by_name


def kind(name, page_names):
    if name.startswith("ALERTS"):
        return ALERTS
    if name.startswith("model:"):
        return RECORDED
    return PAGE if name in page_names else SCRAPE


def print_counts(name, marks, counts):
    head(["before", *(f"{mark:,}" for mark in marks)], "aim")
    print(f"{name}, after requests:")
    for which in counts[0][0]:
        row(f"    {which}", [kinds[which] for kinds, _ in counts])
    sums = [sum(value for which, value in kinds.items() if which != ALERTS) for kinds, _ in counts]
    row("    all but alerts", sums, 0, f"as many as before them: {'met' if sums[-1] == sums[-2] else 'missed'}")
    for earlier, later, mark in zip(counts, counts[1:], marks):
        grown = {name: value - earlier[1].get(name, 0) for name, value in later[1].items()}
        told = [f"{name} {by:+.0f}" for name, by in sorted(grown.items()) if by and not name.startswith("ALERTS")]
        if told:
            print(f"      new by {mark:,}: {', '.join(told)}")
