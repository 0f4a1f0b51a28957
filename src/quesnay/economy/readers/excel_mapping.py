"""The mapping file of a workbook: its keys, and what may stand behind each."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quesnay._errors import TableError
from quesnay.economy.match import listed, suggestion

BOOKS = (".xlsx", ".xlsm", ".xls")
TOP = {
    "workbook": str,
    "sheet": str,
    "currency": str,
    "year": int,
    "name": str,
    "region": str,
    "blank": (int, float),
    "Z": dict,
    "Y": dict,
    "final_demand": str,
    "output": str,
    "primary": dict,
    "satellites": dict,
}
"""Keys of the mapping and the kinds of their values."""
PARTS = {
    "Z": {"cells": str, "rows": str, "columns": str},
    "Y": {"cells": (str, list), "rows": str, "columns": (str, list)},
    "primary": {"cells": (str, list), "rows": (str, list), "columns": str, "names": dict},
    "satellites": {"cells": str, "unit": str, "direct": (str, dict)},
}


def entries_of(path: Path) -> dict[str, Any]:
    """Return the mapping, its keys and their kinds checked."""
    if not path.is_file():
        raise TableError("There is no such mapping file; give the path of a .toml file.")
    if path.suffix.lower() in BOOKS:
        raise TableError("This is the workbook; give the .toml file that says which of its ranges are what.")
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise TableError(f"This is not a TOML file ({error}); correct the line.") from None
    for where, key, value, kinds in _walk(entries):
        if key not in kinds:
            raise TableError(
                f"The key {where}{key} is unknown{suggestion(key, kinds) or f'; the keys are {listed(kinds)}.'}"
            )
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise TableError(f"The key {where}{key} is {value!r}; give {_kind(kinds[key])}.")
    for key in ("workbook", "currency", "Z"):
        entry_of(entries, "", key)
    for part in ("Z", "Y", "primary"):
        if part in entries:
            entry_of(entries[part], part, "cells")
    entry_of(entries["Z"], "Z", "rows")
    for name, entry in entries.get("satellites", {}).items():
        entry_of(entry, f"satellites.{name}", "cells")
    return entries


def _walk(entries: dict[str, Any]) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """Yield every key with its place, its value and the keys that are known there."""
    for key, value in entries.items():
        yield "", key, value, TOP
        if key in PARTS and isinstance(value, dict):
            inner_tables = {f"{key}.{name}.": entry for name, entry in value.items()}
            for where, table in (inner_tables if key == "satellites" else {f"{key}.": value}).items():
                if not isinstance(table, dict):
                    raise TableError(f"The key {where[:-1]} is {table!r}; give a table, as in [{where[:-1]}].")
                for inner, text in table.items():
                    yield where, inner, text, PARTS[key]


def _kind(kind: Any) -> str:
    words = {str: "a text", int: "a whole number", dict: "a table", (int, float): "a number"}
    return words.get(kind, "a range")


def entry_of(table: dict[str, Any], where: str, key: str) -> Any:
    if key not in table:
        raise TableError(f"The key {f'{where}.' if where else ''}{key} is missing; add it.")
    return table[key]
