"""Rows of a CSV file of observations: which period, which accounts, which value; one clear sentence for a bad one."""

import csv
import datetime as dt
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quesnay._errors import InputError, LabelError, TableError
from quesnay.economy.match import suggestion

FREQUENCIES = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}
WRITTEN = {
    r"\d{4}-\d{2}-\d{2}": "D", r"\d{4}-W\d{2}": "W-SUN", r"\d{4}-\d{2}": "M", r"\d{4}-?Q[1-4]": "Q", r"\d{4}": "Y",
}  # fmt: skip
"""How a date may be written, and the period that it then is."""
FORMS = "write a day 2020-03-15, week 2020-W11, month 2020-03, quarter 2020-Q1 or year 2020"


class Row(NamedTuple):
    """One observation: its line in the file, (label, first day, days), (region, sector), and the value, NaN where missing."""

    line: int
    period: tuple[str, int, int]
    series: tuple[str, str]
    value: float


def read(path: Path, known: pd.DataFrame, begin: Any, frequency: str | None, steps: int) -> list[Row]:
    """Return the rows of a file for accounts of known `region` and `sector`, in a run of so many days.

    Raises
    ------
    TableError
        The file cannot be read, or a row holds no date, no number, a period outside the run, or is given twice.
    LabelError
        A region or sector that is not known.
    InputError
        Dates without `begin`, or the other way round.
    """
    lines, cells = _columns(path)
    zero = _zero(begin, "day" in cells, path)
    dates = cells["day" if zero is None else "date"]
    spans = _spans(path, lines, dates, zero, frequency, steps)
    if zero is not None and frequency is None:
        _refuse_first_days(path, dates)
    blank = [""] * len(lines)
    places = list(zip(cells.get("region", blank), cells.get("sector", blank), strict=True))
    for place in dict.fromkeys(places):
        _check_place(f"{path}, line {lines[places.index(place)]}", place, known)
    values = [_value(f"{path}, line {line}", text) for line, text in zip(lines, cells["value"], strict=True)]
    rows = [Row(*row) for row in zip(lines, (spans[d] for d in dates), places, values, strict=True)]
    _refuse_twice(path, rows)
    return rows


def name(place: tuple[str, str]) -> str:
    """Return what a series is called: its region and its sector, or "all"."""
    return " · ".join(part for part in place if part) or "all"


def member(place: tuple[str, str], known: pd.DataFrame) -> np.ndarray:
    """Say which accounts belong to a region and a sector, either of which may be left empty."""
    region, sector = place
    mine = ((known["region"] == region) | (region == "")) & ((known["sector"] == sector) | (sector == ""))
    return mine.to_numpy()


def _columns(path: Path) -> tuple[list[int], dict[str, list[str]]]:
    """Return the lines of the rows, and the cells of every column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error}); give a CSV file.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"{path}: is not a CSV file in UTF-8 ({error}); save it as one.") from None
    header = lines[0][1] if lines else []
    columns = set(header)
    known = columns <= {"date", "day", "region", "sector", "value"} and len(columns) == len(header)
    if not known or "value" not in columns or len(columns & {"date", "day"}) != 1:
        found = ", ".join(map(repr, header)) or "none"
        raise TableError(f"{path}: has the columns {found}; give date (or day), region, sector and value.")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise TableError(f"{path}, line {line}: has {len(row)} entries; give {len(header)}, one per column.")
    cells = {name: [row[k] for _, row in lines[1:]] for k, name in enumerate(header)}
    return [line for line, _ in lines[1:]], cells


def _zero(begin: Any, days: bool, path: Path) -> dt.date | None:
    if days:
        if begin is not None:
            raise InputError(f"{path} counts days from 0 in its column `day`; leave begin out.")
        return None
    if begin is None:
        raise InputError(f"{path} has dates; give begin, the date of the model's day 0, such as begin='2020-03-01'.")
    if isinstance(begin, dt.datetime):
        return begin.date()
    if isinstance(begin, dt.date):
        return begin
    try:
        return dt.date.fromisoformat(str(begin))
    except ValueError:
        raise InputError(f"begin is {begin!r}; give a date, such as '2020-03-01'.") from None


def _spans(
    path: Path, lines: list[int], dates: list[str], zero: dt.date | None, frequency: str | None, steps: int
) -> dict[str, tuple[str, int, int]]:
    """Return of every date its label, first day and number of days."""
    spans = {}
    for line, text in zip(lines, dates, strict=True):
        if text in spans:
            continue
        where = f"{path}, line {line}"
        label, start, length = _day(where, text) if zero is None else _date(where, text, zero, frequency)
        if start < 0 or start + length > steps:
            span = f"day {start}" if length == 1 else f"the days {start} to {start + length - 1}"
            raise TableError(
                f"{where}: {label} is {span}, but the run has the days 0 to {steps - 1}; "
                f"leave it out, or change begin or steps."
            )
        spans[text] = (label, start, length)
    return spans


def _check_place(where: str, place: tuple[str, str], known: pd.DataFrame) -> None:
    for name, label in zip(("region", "sector"), place, strict=True):
        if label and label not in set(known[name]):
            near = suggestion(label, known[name].unique())
            raise LabelError(f"{where}: there is no {name} {label!r}{near or '.'}")
    if not member(place, known).any():
        raise LabelError(f"{where}: region {place[0]!r} has no sector {place[1]!r}; leave it out.")


def _value(where: str, text: str) -> float:
    if not text:
        return np.nan
    try:
        value = np.inf if "_" in text else float(text)
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        raise TableError(f"{where}: the value is {text!r}; give a finite number, or nothing where it is missing.")
    return value


def _day(where: str, text: str) -> tuple[str, int, int]:
    if not text.isdecimal():
        raise TableError(f"{where}: the day is {text!r}; give a whole number, counted from 0.")
    return text, int(text), 1


def _date(where: str, text: str, zero: dt.date, frequency: str | None) -> tuple[str, int, int]:
    kind: Any = next((code for pattern, code in WRITTEN.items() if re.fullmatch(pattern, text)), None)
    try:
        if kind is None:
            raise ValueError
        if kind == "W-SUN":
            day = dt.date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
            period: Any = pd.Period(day, freq="W-SUN")
        else:
            period = pd.Period(text.replace("-Q", "Q"), freq=kind)
    except ValueError:
        raise TableError(f"{where}: the date is {text!r}; {FORMS}.") from None
    if frequency is not None and FREQUENCIES[frequency] != kind:
        if kind != "D":
            raise TableError(f"{where}: {text} is no {frequency}; write the dates alike, or leave frequency out.")
        period = pd.Period(period.start_time, freq=FREQUENCIES[frequency])
        text = str(period) if frequency != "week" else f"week of {period.start_time.date()}"
    first = period.start_time.date()
    return text, (first - zero).days, (period.end_time.date() - first).days + 1


def _refuse_first_days(path: Path, dates: list[str]) -> None:
    """Refuse months that are written as their first day: a day's value and a month's mean are different things."""
    if len(set(dates)) > 1 and all(d.endswith("-01") and len(d) == 10 for d in dates):
        raise TableError(
            f"{path}: every date is the first day of a month; say whether they are days or months: frequency='day' or 'month'."
        )


def _refuse_twice(path: Path, rows: list[Row]) -> None:
    seen: dict[Any, int] = {}
    for r in rows:
        first = seen.setdefault((r.period[1:], r.series), r.line)
        if first != r.line:
            raise TableError(
                f"{path}, line {r.line}: {name(r.series)} of {r.period[0]} stands in line {first} already; give it once."
            )
