"""How long `quesnay --help` takes, in bare interpreter starts.

Run with `python benchmarks/startup.py --out benchmarks/results/startup.json`.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """Return the wall time of one run of a command."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(rounds: int) -> dict[str, object]:
    """Return medians of both commands, run in turns, and the median of their ratios round by round."""
    script = shutil.which("quesnay", path=sysconfig.get_path("scripts"))
    if script is None:
        sys.exit("quesnay is not installed beside this interpreter: pip install .")
    bare, ours = [sys.executable, "-c", "pass"], [script, "--help"]
    for command in (bare, ours):  # the first run of each compiles bytecode and warms the page cache
        seconds(command)
    pairs = [(seconds(bare), seconds(ours)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in pairs)
    return {
        "rounds": rounds,
        "python": platform.python_version(),
        "bare_start_ms": round(1e3 * statistics.median(a for a, _ in pairs), 2),
        "quesnay_help_ms": round(1e3 * statistics.median(b for _, b in pairs), 2),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]],
        "limit": 5.0,
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = f"python benchmarks/startup.py --rounds {arguments.rounds}"
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    text = json.dumps({"command": command} | measure(arguments.rounds), indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
