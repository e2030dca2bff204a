# SPDX-License-Identifier: MIT
"""
make figures: Europa's figures, each with its peers in the same run. docs/performance.md has the methods.

    figures [--build DIR] [--rounds N] [--seconds S] [--slower N] [--out DIR] [FIGURE...]

Of each figure it leaves in BUILD/figures, or DIR: NAME.csv (medians, with machine, kernel, commit and method above them), NAME-rounds.csv (every
round), NAME.png and NAME.svg. Contenders take turns: round 1 of each, round 2 of each.

A figure is a function that yields rows, under @figure; its first columns say what was measured, the others how much.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import bench                                                                        # noqa: E402
import cycles, isolation, latency, quotas, sharing, tcp, udp                        # noqa: E401, E402, F401: each brings its figures
from figure import every                                                            # noqa: E402


def main():
    for name in bench.options.sections:
        if name not in every:
            bench.parser.error(f"figure \"{name}\": expected one of {', '.join(every)}")
    failed = 0
    for name in bench.options.sections or every:
        try:
            every[name].run()
        except Exception as error:                      # the other figures are still worth having
            print(f"## {name}\n\nnot measured: {error}\n", flush=True)
            failed = 1
        bench.clean_up_paths()
    return failed


if __name__ == "__main__":
    bench.run_all(main)
