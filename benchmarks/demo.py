"""`quesnay demo` with a cold and a warm compilation cache: time and memory.

Run with `python benchmarks/demo.py --out benchmarks/results/demo.json`.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

LIMITS = {"seconds": 60.0, "memory_gb": 1.5}


def run(script: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Return wall seconds and peak memory (GB) of one run with this cache."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(cache)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [script, "demo", "--out", str(folder)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"quesnay demo ended with status {status}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1e6


def measure(rounds: int) -> dict[str, object]:
    """Return medians over rounds, each a cold run followed by a warm one."""
    script = shutil.which("quesnay", path=sysconfig.get_path("scripts"))
    if script is None:
        sys.exit("quesnay is not installed beside this interpreter: pip install .")
    cold, warm, memory = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as work:
            folder, cache = Path(work) / "out", Path(work) / "cache"
            for times in (cold, warm):
                seconds, peak = run(script, folder, cache)
                times.append(seconds)
                memory.append(peak)
    ratios = [b / a for a, b in zip(cold, warm, strict=True)]
    return {
        "rounds": rounds,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "cold_seconds": round(statistics.median(cold), 2),
        "warm_over_cold_median": round(statistics.median(ratios), 3),
        "warm_over_cold_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "peak_memory_gb": round(max(memory), 3),
        "limits": LIMITS,
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = f"python benchmarks/demo.py --rounds {arguments.rounds}"
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    text = json.dumps({"command": command} | measure(arguments.rounds), indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
