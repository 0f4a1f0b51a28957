"""Broken tables through every reader: only quesnay's errors come out; nothing is written, unpickled, run or connected to."""

import json
import os
import shutil
import signal
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import quesnay as q
from economy import formats
from economy.mutations import broken
from quesnay.economy import readers
from quesnay.economy.folders import Files, read_wide
from quesnay.economy.readers.archives import check

SECONDS = 60
"""Longest that a reader of a small table may take."""


class Reader(NamedTuple):
    """How a small table is written for a reader, and how it is read."""

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]


def _own(folder: Path) -> Path:
    table = formats.random_table(1, ("A", "B"), ("X", "Y"))
    Z, Y = pd.DataFrame(table.Z, table.index, table.index), pd.DataFrame(table.Y, table.index, table.columns)
    ghg = pd.Series(table.F[0], table.index)
    return q.save(q.Economy.from_frames(Z=Z, Y=Y, satellites={"ghg": (ghg, "kt")}, currency="M"), folder / "own")


def _useeio(suffix: str) -> Callable[[Path], Path]:
    """Write a model, its matrices as .csv, .parquet, .json or .bin; the latter two have no labels."""

    def write(folder: Path) -> Path:
        table = formats.random_table(2, ("US",), ("X", "Y", "Z"))
        names = [f"{sector}/{region}" for region, sector in table.index]
        place = folder / "useeio"
        (place / "demands").mkdir(parents=True)
        A, D = pd.DataFrame(table.Z / table.x, names, names), pd.DataFrame(table.F / table.x, ["GHG", "JOBS"], names)
        for name, frame in {"A": A, "A_d": 0.9 * A, "D": D, "q": pd.DataFrame({"q": table.x}, names)}.items():
            if suffix == ".csv":
                frame.to_csv(place / f"{name}.csv")
            elif suffix == ".parquet":
                frame.to_parquet(place / f"{name}.parquet")
            elif suffix == ".json":
                (place / f"{name}.json").write_text(json.dumps(frame.to_numpy().tolist()))
            else:
                values = np.asarray(frame, "<f8").tobytes(order="F")
                (place / f"{name}.bin").write_bytes(struct.pack("<2i", *frame.shape) + values)
        codes = [sector for _, sector in table.index]
        indicators = {"ID": ["i1", "i2"], "Name": ["GHG", "Jobs"], "Code": ["GHG", "JOBS"], "Unit": ["kg", "jobs"]}
        sectors = {"ID": names, "Name": codes, "Code": codes, "Location": ["US"] * 3, "Description": [""] * 3}
        for name, columns in (("indicators", indicators), ("sectors", sectors)):
            frame = pd.DataFrame({"Index": range(len(columns["ID"]))} | columns)
            if suffix in (".json", ".bin"):
                frame.columns = frame.columns.str.lower()
                frame.to_json(place / f"{name}.json", orient="records")
            else:
                frame.to_csv(place / f"{name}.csv", index=False)
        demand = (table.x - table.Z.sum(axis=1)).tolist()
        amounts = [{"sector": name, "amount": amount} for name, amount in zip(names, demand, strict=True)]
        (place / "demands" / f"{DEMAND}.json").write_text(json.dumps(amounts))
        return place

    return write


DEMAND = "2012_US_Production_Complete"


def _with_demand(folder: Path) -> q.Economy:
    return readers.useeio(folder, demand=DEMAND, domestic=False)


def _domestic(folder: Path) -> q.Economy:
    return readers.useeio(folder, domestic=True)


def _make_and_use(folder: Path) -> Path:
    """Write a make and a use table, and final demand, as CSV files like those of `load`."""
    rng = np.random.default_rng(11)
    industries = pd.MultiIndex.from_product([["Home"], ["I", "J", "K"]], names=["region", "sector"])
    products = pd.MultiIndex.from_product([["Home"], ["X", "Y", "Z"]], names=["region", "sector"])
    V = np.diag(rng.uniform(80, 100, 3)) + rng.uniform(0, 9, (3, 3))
    U = rng.uniform(1, 20, (3, 3))
    place = folder / "supply-use"
    place.mkdir()
    pd.DataFrame(V, industries, products).to_csv(place / "make.csv")
    pd.DataFrame(U, products, industries).to_csv(place / "use.csv")
    uses = pd.MultiIndex.from_product([["Home"], ["C", "I"]], names=["region", "category"])
    rest = V.sum(axis=0) - U.sum(axis=1)
    pd.DataFrame(np.column_stack([0.7 * rest, 0.3 * rest]), products, uses).to_csv(place / "Y.csv")
    return place


def _symmetric(model: readers.Transformation) -> Callable[[Path], q.Economy]:
    def read(folder: Path) -> q.Economy:
        check(folder)
        files = Files(folder)
        make, use = (read_wide(files, f"{name}.csv") for name in ("make", "use"))
        Y = read_wide(files, "Y.csv", ("region", "category"))
        return readers.supply_use(make=make, use=use, Y=Y, model=model, currency="M")

    return read


MAPPING = """workbook = "book.xlsx"
sheet = "Sheet1"
currency = "MEUR"
year = 2000
region = "Home"
[Z]
cells = "B2:D4"
rows = "A2:A4"
[Y]
cells = "E2:F4"
columns = "E1:F1"
[satellites.ghg]
unit = "kt"
cells = "B6:D6"
"""


def _excel(folder: Path) -> Path:
    table = formats.random_table(3, ("Home",), ("X", "Y", "Z"), ("C", "I"))
    place = folder / "excel"
    place.mkdir()
    rows = [["", "X", "Y", "Z", "C", "I"]]
    rows += [[s, *z, *y] for s, z, y in zip(table.sectors, table.Z.tolist(), table.Y.tolist(), strict=True)]
    rows += [[""] * 6, ["ghg", *table.F[0].tolist(), "", ""]]
    pd.DataFrame(rows).to_excel(place / "book.xlsx", header=False, index=False)
    (place / "table.toml").write_text(MAPPING)
    return place


def _small(seed: int, **labels: Any) -> formats.Table:
    return formats.random_table(seed, **({"regions": ("AA", "BB"), "sectors": ("X", "Y")} | labels))


def _icio(seed: int) -> formats.Table:
    return _small(seed, regions=("AUS", "CHN"), categories=("HFCE", "GFCF"))


def _saved(name: str, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: formats.saved_by_pymrio(_small(4), folder / name, **options)


def _packed(write: Callable[[Path], Path], name: str) -> Callable[[Path], Path]:
    """Pack what another one writes, or the folder that it writes to."""

    def packed(folder: Path) -> Path:
        inside = folder / "inside"
        inside.mkdir()
        written = write(inside)
        return formats.pack(written if written.is_dir() else inside, folder / name)

    return packed


def _wiod(folder: Path) -> Path:
    return formats.wiod(formats.wiod_table(5), folder, accounts=False)


def _eora(folder: Path) -> Path:
    return formats.eora26(_small(6), folder / "eora")


def _flat(folder: Path) -> Path:
    return formats.figaro_flat(formats.figaro_table(7), folder / "flatfile_eu-ic-io_ind-by-ind_23ed_2021.csv")


def _matrix(folder: Path) -> Path:
    return formats.figaro_matrix(formats.figaro_table(7), folder / "matrix_eu-ic-io_ind-by-ind_23ed_2021.csv")


READERS = {
    "own folder": Reader(_own, q.load),
    "own archive": Reader(_packed(_own, "own.zip"), q.load),
    "pymrio folder": Reader(_saved("small"), q.load),
    "pymrio archive": Reader(_packed(_saved("small"), "small.zip"), q.load),
    "pymrio parquet": Reader(_packed(_saved("small", table_format="parquet"), "parquet.zip"), q.load),
    "exiobase3": Reader(_packed(_saved("IOT_2011_pxp"), "IOT_2011_pxp.zip"), readers.exiobase3),
    "exiobase1": Reader(lambda f: formats.exiobase12(_small(8), f / "pxp", ""), readers.exiobase1),
    "exiobase2": Reader(
        _packed(lambda f: formats.exiobase12(_small(8), f / "pxp", "_version2.2.2"), "pxp.zip"), q.load
    ),
    "wiod": Reader(_wiod, readers.wiod),
    "wiod archive": Reader(_packed(_wiod, "wiod.zip"), q.load),
    "oecd": Reader(lambda f: formats.oecd(_icio(9), f / "ICIO2021_2018.csv"), readers.oecd),
    "oecd archive": Reader(
        _packed(lambda f: formats.oecd(_icio(9), f / "ICIO2021_2018.csv"), "ICIO2021_2018.zip"), q.load
    ),
    "eora26": Reader(_eora, readers.eora26),
    "eora26 archive": Reader(_packed(_eora, "Eora26_2015_bp.zip"), q.load),
    "gloria": Reader(lambda f: formats.gloria(_small(10), f / "gloria", zipped=True), readers.gloria),
    "figaro matrix": Reader(_matrix, q.load),
    "figaro flat": Reader(_flat, readers.figaro),
    "figaro archive": Reader(_packed(_matrix, "matrix_eu-ic-io_ind-by-ind_23ed_2021.zip"), readers.figaro),
    "useeio csv": Reader(_useeio(".csv"), _domestic),
    "useeio parquet": Reader(_useeio(".parquet"), _domestic),
    "useeio json": Reader(_useeio(".json"), _with_demand),
    "useeio bin": Reader(_useeio(".bin"), _with_demand),
    "excel": Reader(_excel, lambda folder: readers.excel(folder / "table.toml")),
    "product technology": Reader(_make_and_use, _symmetric(readers.ProductTechnology())),
    "fixed product sales": Reader(_make_and_use, _symmetric(readers.FixedProductSales())),
}
"""A reader of files that joins the package joins this list."""


class EscapeError(AssertionError):
    """A broken table got further than an error of quesnay."""


class _Late(BaseException):
    """A reader took too long."""


class Watch:
    """What a reader does besides reading, by the interpreter's audit events."""

    WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
    NEVER = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")

    def __init__(self) -> None:
        self.on = False
        self.allowed = Path("/")
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in self.NEVER:
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[2], int):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._written(event, arguments[0], -1)
        elif event in self.WRITES:
            handles = [a for a in arguments[1:] if isinstance(a, int) and a > 2] if event != "os.chmod" else []
            self._written(event, arguments[0], handles[-1] if handles else -1)

    def _written(self, event: str, path: Any, handle: int) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            place = Path(os.fsdecode(path))
            if handle > 0 and not place.is_absolute():
                return  # a removal by handle, within a folder that was opened by its own name
            if not place.absolute().is_relative_to(self.allowed) and str(place) != os.devnull:
                self.seen.append(f"{event} {place}")


_WATCH: list[Watch] = []


@contextmanager
def watching(allowed: Path) -> Iterator[Watch]:
    """Watch what happens within; only `allowed` may be written to."""
    if not _WATCH:
        _WATCH.append(Watch())
    watch = _WATCH[0]
    watch.seen, watch.allowed, watch.on = [], allowed, True
    try:
        yield watch
    finally:
        watch.on = False


class Fuzz:
    """Small tables for every reader in one folder, and cases made from them."""

    def __init__(self, folder: Path, names: tuple[str, ...] = tuple(READERS)) -> None:
        self.names = names
        self.case_folder, self.temporary = folder / "case", folder / "temporary"
        self.outside = folder / "secret"
        self.outside.write_text("secret")
        self.temporary.mkdir()
        self.counts: Counter[str] = Counter()
        self.originals = {}
        for k, name in enumerate(names):
            (folder / f"original{k}").mkdir()
            self.originals[name] = READERS[name].write(folder / f"original{k}")
            READERS[name].read(self.originals[name])  # imports and compiles what the cases need

    def run(self, name: str, seed: int) -> str:
        """Break the table of a reader and read it; return what came of it, or raise `EscapeError`."""
        rng = np.random.default_rng([seed, *name.encode()])
        shutil.rmtree(self.case_folder, ignore_errors=True)
        self.case_folder.mkdir()
        original = self.originals[name]
        path = self.case_folder / original.name
        (shutil.copytree if original.is_dir() else shutil.copyfile)(original, path)
        broken(path, rng, self.outside)
        before = {file: file.lstat().st_mtime_ns for file in self.case_folder.rglob("*")}
        outcome = self._read(name, seed, path)
        after = {file: file.lstat().st_mtime_ns for file in self.case_folder.rglob("*")}
        if after != before or list(self.temporary.iterdir()) or self.outside.read_text() != "secret":
            raise EscapeError(f"{name} {seed}: files were left or changed")
        self.counts[outcome] += 1
        return outcome

    def _read(self, name: str, seed: int, path: Path) -> str:
        def late(*_: object) -> None:
            raise _Late

        earlier, tempfile.tempdir = tempfile.tempdir, str(self.temporary)
        alarm = signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
        seen: list[str] = []
        try:
            with watching(self.temporary) as watch:
                seen = watch.seen
                READERS[name].read(path)
            outcome = "Economy"
        except q.QuesnayError as error:
            outcome = type(error).__name__
            if "\n" in str(error):
                raise EscapeError(f"{name} {seed}: more than one line: {error}") from error
        except (Exception, _Late) as error:
            raise EscapeError(f"{name} {seed}: {type(error).__name__}: {error}") from error
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, alarm)
            tempfile.tempdir = earlier
        if seen:
            raise EscapeError(f"{name} {seed}: {seen}")
        return outcome
