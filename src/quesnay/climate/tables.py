"""Damage functions given as tables, and their reader from CSV files."""

import csv
import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError, TableError

from .damage import AbstractDamage, cited, retracted

GROUPS = ("region", "sector")
DIGITS = 9
"""More than any year has."""


class Tabulated(AbstractDamage):
    """A damage function given by its values at some temperatures, with straight lines between them.

    `D(T) = (1 - w) D_i + w D_(i+1)`, `w = (T - T_i) / (T_(i+1) - T_i)`. Its slope changes at the temperatures of the table.
    Outside of the table the first and the last line go on, and `outside` says that this is no longer the source's.

    Parameters
    ----------
    temperature:
        T_i (k,), k >= 2, in rising order, degrees C above 1850-1900.
    loss:
        D_i (k,), the shares of output lost, at most 1; negative where warming is a gain.
    source, year:
        Where the table is from, and when it was published.

    Raises
    ------
    InputError
        Fewer than two temperatures, temperatures that do not rise, a loss above 1, a number that is not finite, or an
        empty source.
    """

    temperature: Float[Array, " k"]
    loss: Float[Array, " k"]
    source: str = eqx.field(static=True)
    year: int | None = eqx.field(static=True)

    def __init__(self, temperature: ArrayLike, loss: ArrayLike, *, source: str, year: int | None):
        self.temperature, self.loss = floating(temperature, "temperature"), floating(loss, "loss")
        cited(source, year)
        self.source, self.year = source, year
        T = self.temperature
        if T.ndim != 1 or T.size < 2 or self.loss.shape != T.shape:
            raise InputError(
                f"the table has temperatures of shape {T.shape} and losses of shape {self.loss.shape}; give at least two of "
                f"each, one loss per temperature."
            )
        require(np.isfinite, "temperature has an entry that is not finite; give numbers.", T)
        require(np.isfinite, "loss has an entry that is not finite; give numbers.", self.loss)
        require(lambda v: np.diff(v) > 0, "the temperatures of the table do not rise; sort them, each once.", T)
        require(
            lambda v: v <= 1,
            lambda: (
                f"loss has an entry {np.max(np.asarray(self.loss)):g}, more than all output; give shares, not percent."
            ),
            self.loss,
        )

    @property
    def domain(self) -> tuple[Any, Any]:
        """The first and the last temperature of the table."""
        return self.temperature[0], self.temperature[-1]

    def __call__(self, temperature):
        return between(floating(temperature, "temperature"), self.temperature, self.loss)


def between(x: Float[Array, "..."], knots: Float[Array, " k"], values: Float[Array, " k"]) -> Float[Array, "..."]:
    """Return the piecewise linear function through the values at the knots, with its outer lines going on."""
    i = jnp.clip(jnp.searchsorted(knots, x, side="right") - 1, 0, knots.size - 2)
    w, rise = (x - knots[i]) / (knots[i + 1] - knots[i]), values[i + 1] - values[i]
    # From the nearer knot, so that knots and level lines are met exactly.
    return jnp.where(w < 0.5, values[i] + w * rise, values[i + 1] - (1 - w) * rise)


def read_damage(path: str | Path, *, source: str | None = None, year: int | None = None) -> Tabulated:
    """Return the damage function of a CSV file that has one.

    Parameters
    ----------
    path:
        The file, as for `read_damages`.
    source, year:
        As for `read_damages`.

    Raises
    ------
    TableError
        The file cannot be read as `read_damages` says, or it has more than one curve.
    """
    curves = read_damages(path, source=source, year=year)
    if len(curves) > 1:
        some = ", ".join(" / ".join(name) for name in list(curves)[:3])
        raise TableError(
            f"{path} has {len(curves)} curves ({some}{', ...' if len(curves) > 3 else ''}); take one from read_damages."
        )
    return next(iter(curves.values()))


def read_damages(
    path: str | Path, *, source: str | None = None, year: int | None = None
) -> dict[tuple[str, ...], Tabulated]:
    """Return the damage functions of a CSV file, one per group, by the group's labels.

    The first row that is no comment names the columns: `temperature` (degrees C above 1850-1900), `loss` (the share of
    output lost), and, where there are several curves, `region` or `sector` or both. Comments begin with `#`; `# source: ...`
    and `# year: ...` say where the table is from. ::

        # source: Doe (2020), Losses of two sectors, Journal 1(2)
        # year: 2020
        sector,temperature,loss
        Agriculture,1.0,0.01
        Agriculture,3.0,0.08
        Services,1.0,0.00
        Services,3.0,0.02

    Parameters
    ----------
    path:
        The file, UTF-8, comma-separated.
    source, year:
        Where the table is from, and when that was published; they go before what the file says.

    Returns
    -------
    The curves by (region,), (sector,) or (region, sector); by () where the file has neither.

    Raises
    ------
    TableError
        The file is not there, is no text, lacks a column, a source or a year, or has a row that does not fit; with the line.
    """
    comments, header, rows = _parsed(Path(path))
    found = {name: at for at, name in enumerate(header.cells)}
    for needed in ("temperature", "loss"):
        if needed not in found:
            raise TableError(
                f"{path}, line {header.line}: there is no column {needed}; name the columns temperature and loss, and region "
                f"or sector where there are several curves."
            )
    unknown = [name for name in header.cells if name not in ("temperature", "loss", *GROUPS)]
    if unknown or len(found) < len(header.cells):
        what = f"the column {unknown[0]!r} is not known" if unknown else "a column is there twice"
        raise TableError(f"{path}, line {header.line}: {what}; take temperature, loss, region and sector, each once.")
    cite = _citation(path, comments, source, year)
    names = [name for name in GROUPS if name in found]
    groups: dict[tuple[str, ...], list[tuple[int, float, float]]] = {}
    for row in rows:
        label = tuple(row.cells[found[name]].strip() for name in names)
        if not all(label):
            raise TableError(f"{path}, line {row.line}: the {names[label.index('')]} is empty; name it.")
        T, lost = (_number(path, row, found[name], name) for name in ("temperature", "loss"))
        if lost > 1:
            raise TableError(
                f"{path}, line {row.line}: loss is {lost:g}, more than all output; give shares, 0.05 for 5 percent."
            )
        groups.setdefault(label, []).append((row.line, T, lost))
    return {label: _curve(path, label, points, cite) for label, points in groups.items()}


class Row(NamedTuple):
    """A row of a file: the number of its line, and its cells."""

    line: int
    cells: list[str]


def _parsed(path: Path) -> tuple[dict[str, tuple[int, str]], Row, list[Row]]:
    """Return the comments `# name: text`, the header in lower case, and the rows, all as long as the header."""
    comments, kept = {}, []
    for line, text in enumerate(text_of(path).splitlines(), start=1):
        if text.lstrip().startswith("#"):
            name, colon, said = text.lstrip("# \t").partition(":")
            if colon:
                comments[name.strip().casefold()] = (line, said.strip())
        elif text.strip(" ,\t"):
            try:
                kept.append(Row(line, next(csv.reader([text]))))
            except csv.Error as error:
                raise TableError(f"{path}, line {line}: is no CSV ({error}); save it as CSV again.") from None
    if len(kept) < 2:
        raise TableError(f"{path} has no rows; give a header, such as temperature,loss, and the values below it.")
    header = Row(kept[0].line, [cell.strip().casefold() for cell in kept[0].cells])
    for row in kept[1:]:
        if len(row.cells) != len(header.cells):
            raise TableError(
                f"{path}, line {row.line}: there are {len(row.cells)} cells, but {len(header.cells)} columns; give one each."
            )
    return comments, header, kept[1:]


def text_of(path: Path) -> str:
    """Return the text of a file, or raise `TableError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file.") from None
    except UnicodeDecodeError:
        raise TableError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from None
    except ValueError:
        raise TableError(f"{str(path)!r} can be no file's name; give the path of a CSV file.") from None


def shown(text: str) -> str:
    """Return a text in quotes, shortened."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _number(path: str | Path, row: Row, at: int, name: str) -> float:
    text = row.cells[at].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(f"{path}, line {row.line}: {name} is {shown(text)}; give a number, with a decimal point.")
    return value


def _citation(
    path: str | Path, comments: dict[str, tuple[int, str]], source: str | None, year: int | None
) -> tuple[str, int]:
    """Return the source and the year; a retracted study that only the comments name is added to the source."""
    if source is None:
        if not comments.get("source", (0, ""))[1]:
            raise TableError(f"{path} has no line `# source: ...`; add one, or give source=.")
        source = comments["source"][1]
    if year is None:
        if "year" not in comments:
            raise TableError(f"{path} has no line `# year: ...`; add one, or give year=.")
        line, text = comments["year"]
        if not text.isdecimal() or len(text) > DIGITS:
            raise TableError(f"{path}, line {line}: year is {shown(text)}; give the year of publication.")
        year = int(text)
    words = " ".join([*comments, *(text for _, text in comments.values())])
    if retracted(words) and not retracted(f"{source} {year}"):
        source += ", on Kotz et al. (2024)"
    return source, year


def _curve(
    path: str | Path, label: tuple[str, ...], points: list[tuple[int, float, float]], cite: tuple[str, int]
) -> Tabulated:
    whose = f" of {' / '.join(label)}" if label else ""
    if len(points) < 2:
        raise TableError(f"{path}, line {points[0][0]}: the curve{whose} has one temperature; give at least two.")
    for (_, before, _), (line, T, _) in itertools.pairwise(points):
        if not before < T:
            raise TableError(
                f"{path}, line {line}: temperature {T:g} follows {before:g}; sort the curve{whose} by temperature, each once."
            )
    return Tabulated([T for _, T, _ in points], [lost for _, _, lost in points], source=cite[0], year=cite[1])
