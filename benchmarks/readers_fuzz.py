"""Ten thousand broken tables through every reader of files: what comes out, how much memory it takes, and what else happens.

Small tables in every format (tests/economy/formats.py) are broken in their bytes, cells, names, archives and folders
(tests/economy/mutations.py) and read. Only errors of quesnay may come out; an audit hook hears every file that is opened for
writing, made, renamed or removed outside the temporary folder, every unpickled class, process and connection (none may be);
files that are left behind are counted; and the peak of the resident memory over that after one whole table of every format
is reported. Each child process takes a part of the cases, so that a crash would be seen.

Run with `OMP_NUM_THREADS=1 python benchmarks/readers_fuzz.py --out benchmarks/results/readers_fuzz.json`.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

PART = 50
"""Cases of every reader in one process."""


def child(first: int, count: int) -> None:
    """Read `count` broken tables of every reader and print what came of them."""
    from economy.fuzzing import EscapeError, Fuzz

    outcomes: dict[str, Counter[str]] = {}
    failures = []
    with tempfile.TemporaryDirectory() as work:
        fuzz = Fuzz(Path(work))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in fuzz.names:
            outcomes[name] = Counter()
            for seed in range(first, first + count):
                try:
                    outcomes[name][fuzz.run(name, seed)] += 1
                except EscapeError as error:
                    failures.append(str(error)[:500])
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    growth = (after - before) * 1024 / 1e6
    print(json.dumps({"outcomes": outcomes, "failures": failures, "growth_mb": growth, "peak_mb": after * 1024 / 1e6}))


def part(first: int, count: int) -> tuple[int, str, str]:
    """Run a child on a part of the cases: its status and what it wrote."""
    command = [sys.executable, __file__, "--child", str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    print(f"{first + count} of every reader, status {done.returncode}", file=sys.stderr, flush=True)
    return done.returncode, done.stdout, done.stderr


def measure(cases: int, jobs: int) -> dict[str, object]:
    """Return the outcomes of at least so many cases, spread evenly over the readers."""
    from economy.fuzzing import READERS

    each = -(-cases // len(READERS))
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in READERS}
    failures: list[str] = []
    growth = peak = 0.0
    begun = time.perf_counter()
    firsts = range(0, each, PART)
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(part, firsts, [min(PART, each - first) for first in firsts]))
    for first, (status, out, err) in zip(firsts, done, strict=True):
        if status != 0:
            failures.append(f"cases from {first}: status {status}: {err[-500:]}")
            continue
        found = json.loads(out.splitlines()[-1])
        for name, counts in found["outcomes"].items():
            outcomes[name].update(counts)
        failures += found["failures"]
        growth, peak = max(growth, found["growth_mb"]), max(peak, found["peak_mb"])
    return {
        "cases": sum(sum(counts.values()) for counts in outcomes.values()),
        "failures": failures,
        "peak_memory_growth_mb": round(growth, 1),
        "peak_memory_mb": round(peak, 1),
        "seconds": round(time.perf_counter() - begun),
        "outcomes": {name: dict(sorted(counts.items())) for name, counts in outcomes.items()},
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named; fails where anything but an error of quesnay came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    command = "OMP_NUM_THREADS=1 python benchmarks/readers_fuzz.py"
    command += f" --cases {arguments.cases}" if arguments.cases != 10_000 else ""
    command += f" --jobs {arguments.jobs}" if arguments.jobs != 1 else ""
    command += f" --out {arguments.out}" if arguments.out else ""
    about = {
        "command": command,
        "python": platform.python_version(),
        **{name: version(name) for name in ("pandas", "pymrio", "openpyxl", "pyarrow")},
    }
    found = measure(arguments.cases, arguments.jobs)
    text = json.dumps(about | found, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if found["failures"] else 0)


if __name__ == "__main__":
    main()
