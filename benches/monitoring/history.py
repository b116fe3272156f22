"""What Prometheus would have from before the measurement began, so that the rules' windows are as full as in real life."""

import re
import subprocess
import time

from exposition import at
from pages import HISTORY, apart, model_labels

STEP = 15


def names(rules):
    """The metrics that rules read."""
    return set(re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{(?!\{)", rules.read_text()))


def on_pages(name):
    """Whether a page has it: not what rules record, nor what Prometheus itself adds."""
    return not name.startswith(("model:", "scrape_"))


def write(pages, wanted, folder, data):
    """An hour of the series that rules read, as blocks in Prometheus's data directory."""
    series = [(one, labels(model_labels(number))) for number in range(pages.count) for one in pages.exporter]
    for kind in ("operator", "containers"):
        series += [(one, labels(apart(kind))) for one in getattr(pages, kind)]
    series = [(one, own) for one, own in series if one.name in wanted]
    lacking = set(filter(on_pages, wanted)) - {one.name for one, _ in series}
    if lacking:
        raise SystemExit(f"no page has what the rules read: {', '.join(sorted(lacking))}")
    end = int(time.time()) - 1
    text = folder / "history.om"
    with open(text, "w") as file:
        for one, own in series:
            # As Prometheus stores the bounds of buckets.
            its = re.sub(r'le="(\d+)"', r'le="\1.0"', one.labels)
            head = f"{one.name}{{{','.join(filter(None, [its, own]))}}}"
            file.writelines(
                f"{head} {at(one, pages.share(when))} {when}\n" for when in range(end - HISTORY + STEP, end + 1, STEP)
            )
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    text.unlink()
    return len(series)


def labels(own):
    return ",".join(f'{name}="{value}"' for name, value in own.items())
