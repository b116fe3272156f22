"""The benchmark of what watches a model. tests/bench/monitoring starts it."""

import argparse
import os
import signal
import sys
from pathlib import Path

import evaluation
import series
import size


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    # Ends what it has started, as on any other way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    folder = Path(os.environ["MODELSHIP_BENCH_FOLDER"])
    page = series.measure(folder, [1_000, 10_000] if arguments.quick else [10_000, 100_000])
    if arguments.quick:
        evaluation.measure(folder, page, interval=5, rounds=3)
    else:
        evaluation.measure(folder, page, interval=15, rounds=4)
    size.measure()


main()
