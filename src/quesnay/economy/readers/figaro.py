"""Eurostat's FIGARO inter-country input-output tables, which pymrio has no parser for, in matrix and in flat form."""

import contextlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import pandas as pd

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.folders import with_notes
from quesnay.economy.ledger import Note
from quesnay.economy.match import listed

from .archives import DEFAULT, Limits, check, hashes, refusing
from .systems import from_system, import_pymrio

FILES = re.compile(
    r"(matrix|flatfile)_(?:eu-ic-io|FIGARO)(?!.*(?:supply|use)).*?(?:_((?:19|20)\d\d))?(?:_v\d+)?\.(?:csv|zip)"
)
FINAL_USE = re.compile(r"(.+?)_(P3(?:_S\w+)?|P5\w*|P6\w*)")
"""Label of a final use; `P85`, education, is an industry."""
FLAT_ROW, FLAT_COLUMN = re.compile(r"row[A-Z][a-z]"), re.compile(r"col[A-Z][a-z]")
"""Columns of the flat form: rowIi by industries, rowPp by products, rowPi in supply and use tables."""
FLAT = ("refArea", "counterpartArea", "obsValue")
UNIT = "MEUR"
ROWS = 500_000
"""Rows of the flat form that are read at a time."""

Nodes = dict[tuple[str, str], int]


def parse_figaro(path: Any, year: int | None = None, *, products: bool = False, limits: Limits = DEFAULT) -> Any:
    """Parse the FIGARO inter-country input-output tables, industry by industry or product by product.

    Both forms of the download are read, of all editions since 2022: the matrix (matrix_eu-ic-io_ind-by-ind_23ed_2021.csv),
    whose labels are `AT_A01` for industries, `AT_P3_S14` for final uses and `W2_D1` for value added and adjustments; and
    the flat file (flatfile_eu-ic-io_...), with the columns refArea, rowIi or rowPp, counterpartArea, colIi or colPp and
    obsValue. Regions and sectors keep their codes (FIGW1 is the rest of the world), products their prefix CPA_.

    Parameters
    ----------
    path : pathlib.Path or string
        One CSV file, a zip archive, or a folder with several files.
    year : int, optional
        Which year to parse where there are several.
    products : boolean, optional
        Whether to parse the table by products where there are both; without, that by industries.
    limits : Limits, optional
        How much an archive may hold.

    Returns
    -------
    pymrio.IOSystem
        with Z, Y and unit, and the extension factor_inputs: taxes less subsidies on products (D21X31), purchases of
        residents abroad (OP_RES) and of non-residents (OP_NRES), compensation of employees (D1), other net taxes on
        production (D29X39) and gross operating surplus (B2A3G); all in million euro.

    Raises
    ------
    TableError
        There is no such file; it has neither form; a cell is missing, no number or given twice; or the rows and the columns
        of the flows are not the same accounts.
    InputError
        There are files of several years, and `year` is none of them.

    References
    ----------
    Remond-Tiedrez, I. and Rueda-Cantuche, J. M. (eds.) (2019), EU inter-country supply, use and input-output tables:
    full international and global accounts for research in input-output analysis (FIGARO), Eurostat.
    """
    path = Path(path)
    with refusing(str(path)):
        check(path, limits=limits)
        return _parse(path, _found(path, year, products))[0]


def figaro(
    path: Any,
    *,
    year: int | None = None,
    products: bool = False,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of one year of FIGARO, by industries or by products, in million euro.

    The rows of value added are satellites ("factor_inputs: D1"); value added as such is output less inputs.

    Parameters
    ----------
    path, year, products, limits:
        as in `parse_figaro`.
    currency:
        what to call the unit of the flows; "MEUR" where missing.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    TableError
        As in `parse_figaro`, or the table is one that `Economy` refuses.
    InputError
        There are files of several years, and `year` is none of them.

    References
    ----------
    As in `parse_figaro`.
    """
    path = Path(path)
    with refusing(str(path)):
        check(path, limits=limits)
        member = _found(path, year, products)
        system, missing = _parse(path, member)
        notes = ()
        if missing:
            text = f"{missing} cells are not in the flat file and were read as zero."
            notes = (Note("read", float(missing), "cells", text),)
        source = hashes([path / member], path) if path.is_dir() else hashes([path], path.parent)
        economy = from_system(system, currency, year or _year(member), close, source, keep=False)
        return with_notes(economy, notes)


def _found(path: Path, year: int | None, products: bool) -> str:
    """Return the name of the table to read: in a folder, in a zip archive, or the file itself."""
    names = check(path, contents=False)
    tables = {name: FILES.fullmatch(PurePosixPath(name).name) for name in names if name.lower().endswith(".csv")}
    if not path.is_dir() and len(tables) == 1:
        return next(iter(tables))
    matches = {name: match for name, match in tables.items() if match}
    if not matches:
        raise TableError(
            "there is no FIGARO table in it; give a CSV file such as matrix_eu-ic-io_ind-by-ind_23ed_2021.csv, unpacked where "
            "a folder holds it in an archive of its own."
        )
    years = sorted({int(match[2]) for match in matches.values() if match[2]})
    if (year is None and len(years) > 1) or (year is not None and years and year not in years):
        raise InputError(f"it holds tables of the years {listed(years)}; pass one of them as year.")
    chosen = {name: match for name, match in matches.items() if year is None or match[2] in (None, str(year))}
    kinds = {name: "prod-by-prod" in name for name in chosen}
    if len(set(kinds.values())) > 1:
        chosen = {name: match for name, match in chosen.items() if kinds[name] == products}
    forms = [name for name, match in chosen.items() if match[1] == "matrix"] or list(chosen)
    if len(forms) > 1:
        raise TableError(f"there are several tables of one year in it ({listed(sorted(forms))}); give the file of one.")
    return forms[0]


def _year(name: str) -> int | None:
    years = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", PurePosixPath(name).stem)
    return int(years[-1]) if years else None


def _parse(path: Path, member: str) -> tuple[Any, int]:
    """Return the system of a table, and how many cells its file leaves out."""
    pymrio = import_pymrio()
    with _opened(path, member) as file:
        header = [
            cell.strip().strip('"') for cell in file.readline(2**24).decode("utf-8-sig").rstrip("\r\n").split(",")
        ]
    flat = set(FLAT) <= set(header)
    with _opened(path, member) as file:
        table, rows, columns, missing = _flat(file, header) if flat else _matrix(file)
    accounts = [node for node in columns if not _is_final(node)]
    uses = [node for node in columns if _is_final(node)]
    flows = [rows[node] for node in accounts if node in rows]
    if len(flows) != len(accounts) or not accounts:
        absent = [node for node in accounts if node not in rows]
        raise TableError(f"the flows have columns without a row ({listed(absent)}); give the complete table.")
    if not uses:
        raise TableError(
            "it has no final uses, such as AT_P3_S14; give an input-output table, not one of supply or use."
        )
    inputs = [node for node in rows if node not in set(accounts)]
    strange = [node for node in inputs if node[0] in {region for region, _ in accounts}]
    if strange:
        raise TableError(f"the flows have rows without a column ({listed(strange)}); give the complete table.")
    index = pd.MultiIndex.from_tuples(accounts, names=["region", "sector"])
    categories = pd.MultiIndex.from_tuples(uses, names=["region", "category"])
    codes = [code for _, code in inputs]
    names = codes if len(set(codes)) == len(codes) else ["_".join(node) for node in inputs]
    factors = pd.Index(names, name="inputtype")
    left, right, below = ([columns[n] for n in accounts], [columns[n] for n in uses], [rows[n] for n in inputs])
    meta = pymrio.MRIOMetaData(
        name="FIGARO",
        description=f"Eurostat FIGARO {_year(member) or ''}".strip(),
        system="pxp" if all(code.startswith("CPA_") for _, code in accounts) else "ixi",
        version=(re.findall(r"_(\d\d)ed", member) or ["n/a"])[0],
    )
    meta._add_fileio(f"FIGARO data parsed from {path} {member}")
    if missing:
        meta.note(f"{missing} cells are not in the file and were set to zero")
    system = pymrio.IOSystem(
        Z=pd.DataFrame(table[np.ix_(flows, left)], index, index.copy()),
        Y=pd.DataFrame(table[np.ix_(flows, right)], index, categories),
        unit=pd.DataFrame({"unit": UNIT}, index=index),
        meta=meta,
        factor_inputs={
            "name": "factor_inputs",
            "F": pd.DataFrame(table[np.ix_(below, left)], factors, index),
            "F_Y": pd.DataFrame(table[np.ix_(below, right)], factors, categories),
            "unit": pd.DataFrame({"unit": UNIT}, index=factors),
        },
    )
    return system, missing


@contextlib.contextmanager
def _opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    if path.is_dir():
        with path.joinpath(member).open("rb") as file:
            yield file
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file


def _is_final(node: tuple[str, str]) -> bool:
    return FINAL_USE.fullmatch("_".join(node)) is not None and not re.fullmatch(
        r"[A-Z]\d\d.*", node[1].removeprefix("P")
    )


def _matrix(file: IO[bytes]) -> tuple[np.ndarray, Nodes, Nodes, int]:
    """Return the cells of the matrix form, and the positions of its rows and columns."""
    frame = pd.read_csv(file, index_col=0, encoding="utf-8-sig", low_memory=False)
    if frame.empty:
        raise TableError("the file has no cells; give a FIGARO table.")
    table = _numbers(frame)
    regions = {match[1] for label in frame.columns if (match := FINAL_USE.fullmatch(str(label)))}
    longest = sorted(regions, key=len, reverse=True)
    rows, columns = (_labels([str(label) for label in axis], longest) for axis in (frame.index, frame.columns))
    return table, rows, columns, 0


def _labels(labels: list[str], regions: list[str]) -> Nodes:
    """Return (region, code) of labels such as AT_A01, with their positions."""
    found: Nodes = {}
    for position, label in enumerate(labels):
        known = next((region for region in regions if label.startswith(f"{region}_")), None)
        region, _, code = label.partition("_") if known is None else (known, "_", label[len(known) + 1 :])
        if not code or not region:
            raise TableError(
                f"the label {label!r} does not name a region and a code, such as AT_A01; give a FIGARO table."
            )
        if (region, code) in found:
            raise TableError(f"the label {label!r} is given twice; remove one of its rows or columns.")
        found[region, code] = position
    return found


def _numbers(frame: pd.DataFrame) -> np.ndarray:
    for label, column in frame.items():
        if column.dtype.kind not in "iuf":
            parsed = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
            where = int(np.argmax(np.isnan(parsed) & np.asarray(column.notna())))
            raise TableError(
                f"the cell at row {column.index[where]!r}, column {label!r} holds {column.iloc[where]!r}, which is not a "
                f"number; correct it."
            )
    table = frame.to_numpy(dtype=float)
    if not np.isfinite(table).all():
        i, j = (int(k) for k in np.argwhere(~np.isfinite(table))[0])
        raise TableError(
            f"the cell at row {frame.index[i]!r}, column {frame.columns[j]!r} is empty or infinite; give the complete table."
        )
    return table


def _flat(file: IO[bytes], header: list[str]) -> tuple[np.ndarray, Nodes, Nodes, int]:
    """Return the cells of the flat form, the positions of its rows and columns, and how many cells it leaves out."""
    row = [name for name in header if FLAT_ROW.fullmatch(name)]
    column = [name for name in header if FLAT_COLUMN.fullmatch(name)]
    if len(row) != 1 or len(column) != 1 or len(set(header)) < len(header):
        raise TableError(
            "the flat file needs one column row.. and one col.., such as rowIi and colIi; give a FIGARO table."
        )
    keys = [FLAT[0], row[0], FLAT[1], column[0]]
    rows: Nodes = {}
    columns: Nodes = {}
    parts = []
    kinds: Any = {**dict.fromkeys(keys, str), FLAT[2]: float}
    for piece in pd.read_csv(
        file, usecols=[*keys, FLAT[2]], dtype=kinds, encoding="utf-8-sig", chunksize=ROWS, keep_default_na=False
    ):
        values = piece[FLAT[2]].to_numpy()
        if not np.isfinite(values).all():
            first = piece.iloc[int(np.argmax(~np.isfinite(values)))]
            raise TableError(f"obsValue is empty or infinite at {list(first[keys])}; give the complete table.")
        at = [
            _positions(piece[area].to_numpy(), piece[code].to_numpy(), nodes)
            for area, code, nodes in ((keys[0], keys[1], rows), (keys[2], keys[3], columns))
        ]
        parts.append((*at, values))
    if not parts or not rows:
        raise TableError("the flat file has no rows; give a FIGARO table.")
    size = len(rows) * len(columns)
    i, j, values = (np.concatenate([part[k] for part in parts]) for k in range(3))
    if size > 64 * len(values) + 2**20:
        raise TableError(f"the flat file gives {len(values)} of {size} cells only; give the complete table.")
    places = i * len(columns) + j
    count = np.bincount(places, minlength=size)
    if count.max() > 1:
        i, j = divmod(int(count.argmax()), len(columns))
        raise TableError(
            f"the cell at {list(rows)[i]}, {list(columns)[j]} is given more than once; keep one of the rows."
        )
    table = np.zeros(size)
    table[places] = values
    return table.reshape(len(rows), len(columns)), rows, columns, size - len(values)


def _positions(areas: np.ndarray, codes: np.ndarray, nodes: Nodes) -> np.ndarray:
    """Return the position of every (area, code); new ones are appended to the nodes."""
    area, area_names = pd.factorize(areas)
    code, code_names = pd.factorize(codes)
    pair, first = np.unique(area * len(code_names) + code, return_index=True)
    lookup = np.zeros(len(area_names) * max(len(code_names), 1), dtype=np.int64)
    for k in np.argsort(first):
        a, c = divmod(int(pair[k]), len(code_names))
        label = (str(area_names[a]), str(code_names[c]))
        if not all(label):
            raise TableError("an area or a code is empty; give the complete table.")
        lookup[pair[k]] = nodes.setdefault(label, len(nodes))
    return lookup[area * len(code_names) + code]
