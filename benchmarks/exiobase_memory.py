"""Time and memory of reading a table of EXIOBASE 3's size, and one of WIOD's, as multiples of the table's own size.

A zip archive like that of one year of EXIOBASE 3 (9,800 accounts, 343 columns of final demand, 100 stressors) is written into
a temporary folder, numbers with few digits and no coefficients, and read by children of this process: checked only, parsed by
pymrio only, and loaded. Memory is the peak resident size of the child less that after loading a table of two sectors.

Run with `OMP_NUM_THREADS=1 python benchmarks/exiobase_memory.py --out benchmarks/results/exiobase_memory.json`.
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
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

SHAPES = {"wiod": (41, 35), "exiobase": (49, 200)}
CATEGORIES, STRESSORS = 7, 100
POOL = 4096
PARAMETERS = {
    "Z": ("Z.txt", 2, 2), "Y": ("Y.txt", 2, 2), "x": ("x.txt", 2, 1), "unit": ("unit.txt", 2, 1),
}  # fmt: skip
EXTENSION = {"F": ("F.txt", 1, 2), "F_Y": ("F_Y.txt", 1, 2), "unit": ("unit.txt", 1, 1)}
STEPS = ("check", "parse", "load")


def parameters(files: dict[str, tuple[str, int, int]], kind: str) -> str:
    """Return a parameter file of pymrio's."""
    entries = {
        key: {"name": name, "nr_index_col": str(columns), "nr_header": str(rows)}
        for key, (name, columns, rows) in files.items()
    }
    return json.dumps({"files": entries, "systemtype": kind, "name": "satellite"})


def write(path: Path, regions: int, sectors: int) -> int:
    """Write an archive with a random table, row by row; return the bytes that its Z takes up as text."""
    rng = np.random.default_rng(0)
    accounts = [(f"R{r}", f"Sector {s}") for r in range(regions) for s in range(sectors)]
    uses = [(f"R{r}", f"Use {c}") for r in range(regions) for c in range(CATEGORIES)]
    n, m = len(accounts), len(uses)
    pool = [f"{value:.4g}" for value in rng.exponential(1.0, POOL)]
    texts, values = np.array(pool, dtype=object), np.array([float(text) for text in pool])
    final = 1.2 * n / m  # so that sales to sectors are about half of output
    uses_texts = np.array([f"{final * value:.4g}" for value in values], dtype=object)
    uses_values = np.array([float(text) for text in uses_texts])
    output, length = np.zeros(n), 0

    def head(columns: list[tuple[str, str]], front: int, below: str) -> bytes:
        rows = (
            ["region", *[""] * (front - 1), *(a for a, _ in columns)],
            [below, *[""] * (front - 1), *(b for _, b in columns)],
        )
        names = ["region", "sector"] if front == 2 else ["stressor"]
        return "".join("\t".join(row) + "\n" for row in (*rows, names + [""] * len(columns))).encode()

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, columns, text, number in (
            ("Z.txt", accounts, texts, values),
            ("Y.txt", uses, uses_texts, uses_values),
        ):
            below = "sector" if columns is accounts else "category"
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(head(columns, 2, below))
                for i, (region, sector) in enumerate(accounts):
                    chosen = rng.integers(POOL, size=len(columns))
                    output[i] += number[chosen].sum()
                    row = "\t".join([region, sector, *text[chosen].tolist()]).encode() + b"\n"
                    length += len(row) if columns is accounts else 0
                    file.write(row)
        lines = [f"{r}\t{s}\t{x!r}" for (r, s), x in zip(accounts, output.tolist(), strict=True)]
        archive.writestr("x.txt", "region\tsector\tindout\n" + "\n".join(lines))
        archive.writestr("unit.txt", "region\tsector\tunit\n" + "\n".join(f"{r}\t{s}\tM.EUR" for r, s in accounts))
        archive.writestr("file_parameters.json", parameters(PARAMETERS, "IOSystem"))
        archive.writestr("metadata.json", json.dumps({"name": "EXIO3", "history": []}))
        for name, columns in (("F.txt", accounts), ("F_Y.txt", uses)):
            below = "sector" if columns is accounts else "category"
            rows = [
                "\t".join([f"stressor {k}", *texts[rng.integers(POOL, size=len(columns))]]) for k in range(STRESSORS)
            ]
            archive.writestr(f"satellite/{name}", head(columns, 1, below) + "\n".join(rows).encode())
        units = "stressor\tunit\n" + "\n".join(f"stressor {k}\tkg" for k in range(STRESSORS))
        archive.writestr("satellite/unit.txt", units)
        archive.writestr("satellite/file_parameters.json", parameters(EXTENSION, "Extension"))
    return length


def child(step: str, path: Path, small: Path) -> None:
    """Do one step in this process and print its time and peak memory."""
    import pymrio

    import quesnay as q
    from quesnay.economy.readers import archives

    kept = ["Z", "Y", "x", "unit", "F", "F_Y"]
    verbs = {"check": archives.check, "parse": lambda p: pymrio.load_all(p, subset=kept), "load": q.load}
    verbs["check"](small)
    verbs["load"](small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    made = verbs[step](path)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if step == "load":
        assert made.balance().row_share < 1e-12
    print(json.dumps({"seconds": round(seconds, 1), "peak_mb": round((peak - before) * 1024 / 1e6, 1)}))


def measure(shape: str) -> dict[str, object]:
    """Return time and memory of every step for a table of a shape."""
    regions, sectors = SHAPES[shape]
    size = (regions * sectors) ** 2 * 8
    with tempfile.TemporaryDirectory() as work:
        path, small = Path(work) / "IOT_2011_pxp.zip", Path(work) / "small.zip"
        text = write(path, regions, sectors)
        write(small, 1, 2)
        about: dict[str, object] = {
            "accounts": regions * sectors,
            "table_mb": round(size / 1e6, 1),
            "text_of_Z_mb": round(text / 1e6, 1),
            "archive_mb": round(path.stat().st_size / 1e6, 1),
        }
        for step in STEPS:
            command = [sys.executable, __file__, "--child", step, str(path), str(small)]
            done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            about[step] = found | {"peak_over_table": round(found["peak_mb"] * 1e6 / size, 2)}
    return about


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]), Path(arguments.child[2]))
        return
    command = "OMP_NUM_THREADS=1 python benchmarks/exiobase_memory.py"
    command += f" --out {arguments.out}" if arguments.out else ""
    about = {
        "command": command,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        **{name: version(name) for name in ("numpy", "pandas", "pymrio")},
    }
    text = json.dumps(about | {shape: measure(shape) for shape in arguments.shapes}, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
