"""Prints a Dockerfile so that its image can be built again the same: repeatable.py DOCKERFILE.

Every stage gets the argument SOURCE_DATE_EPOCH, by which pip and others write no time of day into what they install. Ends with 3
where the Dockerfile has words that only Docker's own format keeps, whose images differ with every build.
"""

from __future__ import annotations

import pathlib
import re
import sys

DOCKERS_OWN = {"HEALTHCHECK", "ONBUILD", "SHELL"}


def main(dockerfile: str) -> None:
    printed, ends, word, continued = [], [], "", False
    for line in pathlib.Path(dockerfile).read_text(encoding="utf-8").splitlines():
        printed.append(line)
        if ends:
            # The text of a here-document is no instruction.
            if line.lstrip("\t") == ends[0]:
                del ends[0]
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not continued:
            word = line.split()[0].upper()
            if word in DOCKERS_OWN:
                sys.exit(3)
        if word in ("RUN", "COPY", "ADD"):
            ends = re.findall(r"<<-?[\"']?(\w+)[\"']?", line)
        continued = line.rstrip().endswith("\\")
        if word == "FROM" and not continued:
            printed.append("ARG SOURCE_DATE_EPOCH")
    print("\n".join(printed))


if __name__ == "__main__":
    main(*sys.argv[1:])
