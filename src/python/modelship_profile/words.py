"""What others say, such as an error of a server's, in as many words as a sentence has room for."""

from __future__ import annotations

import textwrap

# Characters.
MOST = 300


def shortened(text, most: int = MOST) -> str:
    """In one line; what is too long ends after a word, and with an ellipsis."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    words = textwrap.shorten(line, most, placeholder=" …")
    # One word may be longer than all there is room for.
    return words if words.strip() != "…" else line[: most - 1] + "…"


def first_line(error, most: int = MOST) -> str:
    """Of an error, which may have none."""
    return shortened((str(error).strip().splitlines() or [type(error).__name__])[0], most)


def listed(names, most: int = 20) -> str:
    """Names by commas; of many the first ones, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
