"""Small tables in the formats of the world's databases, written as the parsers and the providers' descriptions have them."""

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import quesnay as q


@dataclass(frozen=True)
class Table:
    """A balanced table: x = Z 1 + Y 1, with two satellites and what final consumers emit themselves."""

    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    categories: tuple[str, ...]
    Z: np.ndarray
    Y: np.ndarray
    F: np.ndarray
    F_Y: np.ndarray

    @property
    def x(self) -> np.ndarray:
        return self.Z.sum(axis=1) + self.Y.sum(axis=1)

    @property
    def added(self) -> np.ndarray:
        return self.x - self.Z.sum(axis=0)

    @property
    def index(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_product([self.regions, self.sectors], names=["region", "sector"])

    @property
    def columns(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_product([self.regions, self.categories], names=["region", "category"])


def random_table(
    seed: int,
    regions: Sequence[str] = ("AA", "BB", "CC"),
    sectors: Sequence[str] = ("Farms", "Mills", "Shops", "Rest"),
    categories: Sequence[str] = ("Households", "Investment"),
) -> Table:
    """Return a table in which every sector has output and value added."""
    rng = np.random.default_rng(seed)
    n, m = len(regions) * len(sectors), len(regions) * len(categories)
    A = rng.uniform(0, 1.4 / n, (n, n)) * (rng.uniform(size=(n, n)) < 0.8)
    Y = rng.uniform(1, 100, (n, m))
    x = np.linalg.solve(np.eye(n) - A, Y.sum(axis=1))
    F, F_Y = rng.uniform(1, 1000, (2, n)), rng.uniform(1, 50, (2, m))
    return Table(tuple(regions), tuple(sectors), tuple(categories), A * x, Y, F, F_Y)


def assert_same(
    economy: q.Economy, table: Table, satellites: dict[str, np.ndarray], direct: dict[str, np.ndarray]
) -> None:
    """Compare an economy with the table that its files were made from, by label, to 1e-12 of the largest value."""
    index, columns = table.index, table.columns
    for name, got, wanted in (
        ("Z", economy.frame("Z").loc[index, index], table.Z),
        ("Y", economy.frame("Y").loc[index, columns], table.Y),
        ("output", economy.frame("output")[index], table.x),
        ("value added", economy.frame("value_added")[index], table.added),
        *((name, economy.frame(name)[index], values) for name, values in satellites.items()),
    ):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max(), err_msg=name)
    assert len(economy.index) == len(index)
    order = economy.frame("Y").columns.get_indexer(columns)
    for name, values in direct.items():
        np.testing.assert_allclose(np.asarray(economy.direct(name))[order], values, rtol=1e-12, err_msg=name)


def pack(folder: Path, archive: Path, *, top: bool = False) -> Path:
    """Write the files of a folder into a zip archive, within a folder of its name or not."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, path.relative_to(folder.parent if top else folder).as_posix())
    return archive


def _rows(path: Path, rows: Sequence[Sequence[object]], separator: str = "\t") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\n").writerows(
            [[repr(float(c)) if isinstance(c, (float, np.floating)) else c for c in row] for row in rows]
        )


def pymrio_system(table: Table):
    """Return the table as a pymrio system with the extension "emissions"."""
    import pymrio

    stressors = pd.Index(["CO2", "CH4"], name="stressor")
    return pymrio.IOSystem(
        Z=pd.DataFrame(table.Z, table.index, table.index),
        Y=pd.DataFrame(table.Y, table.index, table.columns),
        unit=pd.DataFrame({"unit": "M.EUR"}, index=table.index),
        emissions={
            "name": "emissions",
            "F": pd.DataFrame(table.F, stressors, table.index),
            "F_Y": pd.DataFrame(table.F_Y, stressors, table.columns),
            "unit": pd.DataFrame({"unit": ["kg", "t"]}, index=stressors),
        },
    )


def saved_by_pymrio(table: Table, folder: Path, *, table_format: str = "txt") -> Path:
    """Write what `save_all` of pymrio writes, coefficients and multipliers included."""
    system = pymrio_system(table)
    system.meta.change_meta("name", "small")
    system.calc_all()
    system.save_all(folder, table_format=table_format, float_format="%.17g")
    return folder


def exiobase12(table: Table, folder: Path, version: str) -> Path:
    """Write coefficients as EXIOBASE 1 and 2 do: tabs, two header rows, labels and units in front."""
    folder.mkdir(parents=True)
    regions, sectors = (list(table.index.get_level_values(k)) for k in (0, 1))
    y_regions, categories = (list(table.columns.get_level_values(k)) for k in (0, 1))
    A, S = table.Z / table.x, table.F / table.x

    def write(name: str, labels: list[list[str]], above: list[str], below: list[str], values: np.ndarray) -> None:
        front = [""] * len(labels[0])
        rows: list[list[object]] = [[*front, *above], [*front, *below]]
        rows += [[*label, *row] for label, row in zip(labels, values, strict=True)]
        _rows(folder / f"{name}{version}.txt", rows)

    per = [[r, s, "M.EUR/M.EUR"] for r, s in table.index]
    write("mrIot", per, regions, sectors, A)
    write("mrFinalDemand", [[r, s, "M.EUR"] for r, s in table.index], y_regions, categories, table.Y)
    write("mrFactorInputs", [["Wages", "M.EUR/M.EUR"]], regions, sectors, S[:1])
    write("mrEmissions", [["CO2", "air", "kg/M.EUR"], ["CH4", "air", "t/M.EUR"]], regions, sectors, S)
    write("mrFDEmissions", [["CO2", "air", "kg"], ["CH4", "air", "t"]], y_regions, categories, table.F_Y)
    return folder


def wiod_table(seed: int) -> Table:
    """Return a table with the labels that pymrio needs: the USA, the rest of the world, and a last sector c35."""
    return random_table(seed, ("DEU", "USA", "RoW"), ("AtB", "C", "P"), ("c37", "c41"))


def wiod(table: Table, folder: Path, year: int = 2005, *, accounts: bool = True) -> Path:
    """Write WIOD's workbook of 2013, and its socio-economic accounts beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    codes = dict(zip(table.sectors, ["c1", "c2", "c35"], strict=True))
    n, m = len(table.index), len(table.columns)
    heads = [
        *((s, f"Sector {s}", r, codes[s]) for r, s in table.index),
        *(("", f"Use {c}", r, c) for r, c in table.columns),
    ]
    grid: list[list[object]] = [[""] * (4 + n + m + 1) for _ in range(6 + n + 3)]
    for row, text in enumerate(
        (f"World Input-Output Table, {year}", "", "(industry-by-industry)", "(millions of US$)")
    ):
        grid[row][0] = text
    for k, head in enumerate(heads):
        for level in range(4):
            grid[2 + level][4 + k] = head[level]
    values = np.hstack([table.Z, table.Y])
    for i, (region, sector) in enumerate(table.index):
        row = [sector, f"Sector {sector}", region, codes[sector], *map(float, values[i]), float(values[i].sum())]
        grid[6 + i] = list(row)
    inputs, total = np.concatenate([table.added, np.zeros(m)]), np.concatenate([table.x, np.zeros(m)])
    below = (("r60", "Total intermediate", total), ("r64", "Value added", inputs), ("r69", "Gross output", total))
    for k, (code, name, row) in enumerate(below):
        grid[6 + n + k] = ["", name, "TOT", code, *map(float, row), 0.0]
    book = folder / f"wiot{year % 100:02d}_row_apr12.xlsx"
    frame = pd.DataFrame([[cell if cell != "" else None for cell in row] for row in grid])
    frame.to_excel(book, header=False, index=False, sheet_name=f"WIOT_{year}")
    if accounts:
        _sea(table, folder, year)
    return book


def _sea(table: Table, folder: Path, year: int) -> None:
    rows = []
    for k, variable in enumerate(("EMP", "EMPE", "H_EMP", "H_EMPE")):
        for i, (region, sector) in enumerate(table.index):
            if region != "RoW":  # not in the accounts: pymrio adds zeros
                rows.append((region, variable, "words", sector, float(table.F[0, i] * (k + 1))))
        rows += [(region, variable, "words", "TOT", 1.0) for region in table.regions if region != "RoW"]
    frame = pd.DataFrame(rows, columns=["Country", "Variable", "Description", "Code", f"_{year}"])
    frame.to_excel(folder / "WIOD_SEA_July14.xlsx", sheet_name="DATA", index=False)


def oecd(table: Table, path: Path) -> Path:
    """Write an inter-country table of the editions since 2021: rows TLS, VA and OUT below, a column OUT at the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    accounts, uses = (["_".join(label) for label in labels] for labels in (table.index, table.columns))
    m = len(uses)
    rows: list[list[object]] = [["V1", *accounts, *uses, "OUT"]]
    rows += [[a, *z, *y, x] for a, z, y, x in zip(accounts, table.Z, table.Y, table.x, strict=True)]
    rows += [
        ["TLS", *(0.1 * table.added), *np.zeros(m), 0.0],
        ["VA", *(0.9 * table.added), *np.zeros(m), 0.0],
        ["OUT", *table.x, *table.Y.sum(axis=0), 0.0],
    ]
    _rows(path, rows, ",")
    return path


def eora26(table: Table, folder: Path, year: int = 2015) -> Path:
    """Write Eora26's text files: no headers, labels in files of their own, a region ROW of discrepancies last."""
    folder.mkdir(parents=True, exist_ok=True)

    def padded(values: np.ndarray, rows: int, columns: int) -> list[list[object]]:
        return [list(row) for row in np.pad(values, ((0, rows), (0, columns)))]

    stem = f"Eora26_{year}_bp"
    _rows(folder / f"{stem}_T.txt", padded(table.Z, 1, 1))
    _rows(folder / f"{stem}_FD.txt", padded(table.Y, 1, 1))
    _rows(folder / f"{stem}_VA.txt", padded(table.added[None, :], 0, 1))
    _rows(folder / f"{stem}_Q.txt", padded(table.F, 0, 1))
    _rows(folder / f"{stem}_QY.txt", padded(table.F_Y, 0, 1))
    whole = {code: f"Land {code}" for code in table.regions}
    row = ["ROW", "ROW", "TOTAL", "TOTAL"]
    _rows(folder / "labels_T.txt", [*([whole[r], r, "Industries", s] for r, s in table.index), row])
    _rows(folder / "labels_FD.txt", [*([whole[r], r, "Final Demand", c] for r, c in table.columns), row])
    _rows(folder / "labels_VA.txt", [["Primary Inputs", "Value added", ""]])
    _rows(folder / "labels_Q.txt", [["CO2 (Gg)", "Total", ""], ["CH4 (t)", "Total", ""]])
    return folder


def gloria(table: Table, folder: Path, year: int = 2019, version: int = 59, *, zipped: bool = False) -> Path:
    """Write GLORIA's results: a supply and use table without headers, satellites, and the labels in a workbook."""
    parts = folder / f"GLORIA_MRIOs_{version}_{year}", folder / f"GLORIA_SatelliteAccounts_0{version}_{year}"
    for part in parts:
        part.mkdir(parents=True)
    R, s, n, m = len(table.regions), len(table.sectors), len(table.index), len(table.columns)
    industry = np.concatenate([np.arange(r * 2 * s, r * 2 * s + s) for r in range(R)])
    product = industry + s
    T, Y = np.zeros((2 * n, 2 * n)), np.zeros((2 * n, m))
    T[np.ix_(product, industry)] = table.Z
    T[industry, product] = table.x
    Y[product] = table.Y
    V, Q = np.zeros((2 * R, 2 * n)), np.zeros((2, 2 * n))
    V[np.repeat(2 * np.arange(R), s), industry] = table.added
    Q[:, industry] = table.F
    head = "20230314_120secMother_AllCountries_002"
    for part, results in ((parts[0], {"T": T, "Y": Y, "V": V}), (parts[1], {"TQ": Q, "YQ": table.F_Y})):
        for name, values in results.items():
            file = part / f"{head}_{name}-Results_{year}_0{version}_Markup001(full).csv"
            _rows(file, [list(row) for row in values], ",")
        if zipped:
            pack(part, part.with_suffix(".zip"))
            for file in part.iterdir():
                file.unlink()
            part.rmdir()
    with pd.ExcelWriter(folder / f"GLORIA_ReadMe_0{version}.xlsx") as book:
        names = [f"Land {code}" for code in table.regions]
        regions = pd.DataFrame({"Region_acronyms": table.regions, "Region_names": names})
        regions.to_excel(book, sheet_name="Regions", index=False)
        pd.DataFrame({"Sector_names": table.sectors}).to_excel(book, sheet_name="Sectors", index=False)
        uses = pd.DataFrame({"Final_demand_names": table.categories, "Value_added_names": ["Wages", "Profits"]})
        uses.to_excel(book, sheet_name="Value added and final demand", index=False)
        accounts = {"Sat_indicator": ["CO2", "CH4"], "Sat_head_indicator": ["Air", "Air"], "Sat_unit": ["kt", "t"]}
        pd.DataFrame(accounts).to_excel(book, sheet_name="Satellites", index=False)
    return folder


FIGARO_ROWS = ("D21X31", "OP_RES", "OP_NRES", "D1", "D29X39", "B2A3G")


def figaro_table(seed: int, *, products: bool = False) -> Table:
    """Return a table with FIGARO's labels, P85 (education) and the rest of the world FIGW1 among them."""
    sectors = [f"CPA_{code}" if products else code for code in ("A01", "C10T12", "P85")]
    return random_table(seed, ("AT", "DE", "FIGW1"), sectors, ("P3_S13", "P3_S14", "P3_S15", "P51G", "P5M"))


def figaro_cells(table: Table) -> tuple[list[tuple[str, str]], list[tuple[str, str]], np.ndarray]:
    """Return rows, columns and cells, value added being spread over six rows."""
    m = len(table.columns)
    shares = np.array([0.05, 0.0, 0.0, 0.5, 0.05, 0.4])
    below = np.hstack([np.outer(shares, table.added), np.zeros((6, m))])
    cells = np.vstack([np.hstack([table.Z, table.Y]), below])
    return [*table.index, *(("W2", code) for code in FIGARO_ROWS)], [*table.index, *table.columns], cells


def figaro_matrix(table: Table, path: Path) -> Path:
    """Write FIGARO's matrix form."""
    rows, columns, cells = figaro_cells(table)
    lines: list[list[object]] = [["rowLabels", *("_".join(c) for c in columns)]]
    _rows(path, lines + [["_".join(r), *values] for r, values in zip(rows, cells, strict=True)], ",")
    return path


def figaro_flat(table: Table, path: Path, *, letter: str = "Ii") -> Path:
    """Write FIGARO's flat form; the letters of its columns are Ii by industries and Pp by products."""
    rows, columns, cells = figaro_cells(table)
    kind = letter[-1]
    lines: list[list[object]] = [
        [f"icio{kind}Row", f"icio{kind}Col", "refArea", f"row{letter}", "counterpartArea", f"col{letter}", "obsValue"]
    ]
    lines += [
        ["_".join(r), "_".join(c), *r, *c, cells[i, j]] for j, c in enumerate(columns) for i, r in enumerate(rows)
    ]
    _rows(path, lines, ",")
    return path
