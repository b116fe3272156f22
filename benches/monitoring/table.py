"""How figures are printed, as the other benchmarks do it."""

import textwrap
from statistics import median

WIDTH = 40


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def method(text):
    print(textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False))


def head(columns, last=""):
    print("\n" + f"{'':{WIDTH}}{''.join(f'{name:>15}' for name in columns)}  {last}".rstrip())


def row(what, values, digits=0, last=""):
    print(f"{what:{WIDTH}}{''.join(f'{value:>15,.{digits}f}' for value in values)}  {last}".rstrip())


def spread(what, values, digits):
    row(what, [min(values), median(values), max(values)], digits, str(len(values)))
