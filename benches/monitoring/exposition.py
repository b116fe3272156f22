"""Metrics pages, taken apart as far as is needed here."""

import re
from collections import namedtuple

Sample = namedtuple("Sample", "name labels value grows")

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")


def parts(page):
    """Every series of a page, and between them its lines on types: Prometheus writes a bucket's bound as it does only
    where such a line stands before it. `grows`: it is part of a counter or a histogram. `labels`: the text in the braces.
    """
    kinds, found = {}, []
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            family, kind = line.split()[2:4]
            kinds[family] = kind
            found.append(line)
        elif match := LINE.match(line):
            name, labels, value = match.groups()
            family = re.sub("_(bucket|sum|count)$", "", name)
            grows = kinds.get(name) == "counter" or kinds.get(family) in ("histogram", "summary")
            found.append(Sample(name, labels or "", float(value), grows))
    return found


def samples(page):
    return [part for part in parts(page) if isinstance(part, Sample)]


def at(sample, share):
    """The value text of a series after so much of the time in which it grew to what it is."""
    if not sample.grows:
        return f"{sample.value:.16g}"
    value = sample.value * share
    return str(int(value)) if float(sample.value).is_integer() else f"{value:.4f}"
