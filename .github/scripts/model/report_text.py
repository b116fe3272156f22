"""The text of a pull request, in Markdown: report_text.py OUT COMMIT."""

from __future__ import annotations

import json
import pathlib
import sys

from modelship_profile.tracking import without_credentials
from modelship_profile.words import shortened

MOST_METRICS = 50


def main(out: str, commit: str) -> None:
    folder = pathlib.Path(out)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    lines = ["A new version of the model.", "", "| | |", "|---|---|"]
    pinned = folder / "told/pinned"
    server = without_credentials(run.get("tracking_uri") or "")
    facts = {
        "image": pinned.read_text(encoding="utf-8").strip() if pinned.exists() else None,
        "commit": commit,
        "run": run.get("run_id"),
        "tracking server": server,
        "version in the registry": run.get("model_version"),
    }
    lines += [f"| {name} | {cell(value)} |" for name, value in facts.items() if value]
    metrics = sorted(run["metrics"].items())
    if metrics:
        lines += ["", "| metric | value |", "|---|---|"]
        lines += [f"| {cell(name)} | {value:.6g} |" for name, value in metrics[:MOST_METRICS]]
    if len(metrics) > MOST_METRICS:
        lines += ["", f"And {len(metrics) - MOST_METRICS} more in metrics.json."]
    print("\n".join(lines))


def cell(value) -> str:
    """As code, and in one cell of a table whatever it is."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return "`" + shortened(text).replace("|", "\\|").replace("`", "'") + "`"


if __name__ == "__main__":
    main(*sys.argv[1:])
