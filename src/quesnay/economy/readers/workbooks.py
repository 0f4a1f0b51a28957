"""The XML of a workbook (.xlsx), checked before a spreadsheet library reads it."""

import re
from typing import Any
from xml.parsers import expat

from quesnay._errors import TableError

CELL = re.compile(r"\$?([A-Za-z]{1,4})\$?(\d{1,8})")
ROWS, COLUMNS = 1_048_576, 16_384
"""Largest row and column of the format."""


class Sheets:
    """How the members of one workbook are parsed: no document types, no sheet that would take more than `cells` cells."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def parser(self, name: str) -> "Parser | None":
        """Return the parser of a member, or None where it is not XML."""
        return Parser(name, self.cells) if name.lower().endswith((".xml", ".rels", ".vml")) else None


class Parser:
    """Reads one XML member in pieces and notes how far its cells reach.

    A spreadsheet library fills up the rows and columns before the last one that is mentioned, so that one cell at XFD1048576
    makes a file of a kilobyte take up gigabytes of memory.
    """

    def __init__(self, name: str, cells: int) -> None:
        self.name, self.cells = name, cells
        self.row = self.column = self.last = 0
        self.expat = expat.ParserCreate(namespace_separator=" ")
        self.expat.StartElementHandler = self._element
        self.expat.StartDoctypeDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        """Parse the next piece; raises `TableError` where it is not XML, or too much."""
        self._parse(piece, False)

    def close(self) -> None:
        """Parse the end; raises `TableError` where the XML is not complete."""
        self._parse(b"", True)

    def _parse(self, piece: bytes, final: bool) -> None:
        try:
            self.expat.Parse(piece, final)
        except expat.ExpatError as error:
            raise TableError(f"it is not XML ({error}); save the workbook again.") from None

    def _doctype(self, *_: Any) -> None:
        raise TableError("it declares a document type, which no spreadsheet program writes; save the workbook again.")

    def _element(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition(" ")[2]
        if kind == "row":
            given = attributes.get("r", "")
            self.row = int(given) if given.isdecimal() and len(given) < 9 else self.row + 1
            self._reach(self.row, 1)
        elif kind == "c":
            cell = CELL.fullmatch(attributes.get("r", ""))
            if cell:
                self._reach(int(cell[2]), _column(cell[1]))

    def _reach(self, row: int, column: int) -> None:
        self.last, self.column = max(self.last, row), max(self.column, column)
        if self.last > ROWS or self.column > COLUMNS or self.last * self.column > self.cells:
            raise TableError(
                f"its cells reach row {self.last:,} and column {self.column:,}, more than {self.cells:,} cells; delete what "
                f"lies outside the table, or raise limits.cells."
            )


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - 64
    return number
