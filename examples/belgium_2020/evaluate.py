"""The metric, the rivals, and the three tables.

The metric is the mean absolute error in percentage points over the 30 survey groups, weighted by the output of their sectors;
a sector that several groups share counts in equal parts. A prediction is the mean of the seven days before a survey date.
"""

from dataclasses import dataclass

import numpy as np

import quesnay as q

from .data import Belgium
from .fit import FIRST, calibrated
from .model import at_surveys, closures_only, forecast, nowcast
from .scenarios import idle_level
from .staff import offsets

LAST = slice(5, 10)
DRAWS, SEED = 4000, 0


@dataclass(frozen=True)
class Row:
    """A prediction and how it did, in percentage points.

    Attributes
    ----------
    first, last:
        Mean error over the first five and over the last five dates.
    dates:
        Error on each of the last five.
    against:
        The task's model minus this one, and its 90 % interval over 4,000 draws of the groups; None for the model itself.
    """

    name: str
    first: float
    last: float
    dates: tuple[float, ...]
    against: tuple[float, float, float] | None


def runs(data: Belgium, fitted: dict) -> dict[str, tuple[q.supply.SupplyPath, np.ndarray]]:
    """Return the path of each task and the offsets that go with it."""
    level = idle_level(data, fitted["ratio"])
    of = {name: np.array([fitted[name]["offsets"][group] for group in data.groups]) for name in ("nowcast", "forecast")}
    return {
        "nowcast": (nowcast(data, level, fitted["nowcast"]["p"]), of["nowcast"]),
        "forecast": (forecast(data, level, fitted["forecast"]["p"]), of["forecast"]),
        "a priori": (closures_only(data), np.zeros(len(data.groups))),
    }


def tables(data: Belgium, fitted: dict) -> dict[str, list[Row]]:
    """Return the rows of the three tasks: the model first, then what else the same information, or more, would say."""
    models = {name: at_surveys(data, *made) for name, made in runs(data, fitted).items()}
    found = {}
    for name, rivals in rivals_of(data, fitted).items():
        every = {f"model ({name})": models[name], **rivals}
        found[name] = [row(data, label, made, models[name]) for label, made in every.items()]
    return found


def rivals_of(data: Belgium, fitted: dict) -> dict[str, dict[str, np.ndarray]]:
    """Return the predictions beside the model, percent (t, g), for each task."""
    # The first revenue survey did not ask for staff: those of the second, a week later, stand in.
    measured = idle_level(data, fitted["ratio"])
    staff, level = (np.concatenate([found[:1], found]) for found in (data.idle, measured))
    simple = {
        "no change": np.zeros_like(data.revenue),
        "previous survey (knows later ones)": np.concatenate([data.revenue[:1], data.revenue[:-1]]),
        "survey of 27 April": held(data.revenue),
    }
    unshocked = calibrated(data, lambda p: forecast(data, measured, p, others=0.0))[2]
    return {
        "nowcast": {
            **simple,
            "staff alone": -staff,
            "line in staff": regression(data, staff),
            "line in staff, groups unweighted": regression(data, staff, weighted=False),
            "line in filtered staff, offsets": with_offsets(data, regression(data, level)),
            "model, nothing fitted": at_surveys(data, nowcast(data, data.idle, 0.0)),
            "fixed proportions, nothing fitted": at_surveys(
                data, nowcast(data, data.idle, 0.0, production=q.supply.FixedProportions())
            ),
        },
        "forecast": {
            **simple,
            "staff of 27 April": -held(staff),
            "line in staff of 27 April": regression(data, held(staff)),
            "line in it, filtered, offsets": with_offsets(data, regression(data, held(level))),
            "model, only households lose demand": unshocked,
        },
        "a priori": {**simple, "published labour shock alone": published(data)},
    }


def with_offsets(data: Belgium, made: np.ndarray) -> np.ndarray:
    """Return a prediction with its own offsets from the first five dates."""
    return np.maximum(made + offsets(data.revenue[FIRST] - made[FIRST]), -100)


def published(data: Belgium) -> np.ndarray:
    """Return minus the share of each group's work that is neither essential nor possible at home, percent, at all dates."""
    output = np.asarray(data.network.output)
    stopped = np.bincount(data.group + 1, output * (1 - data.telework) * (1 - data.essential))[1:]
    return np.tile(-100 * stopped / np.bincount(data.group + 1, output)[1:], (len(data.dates), 1))


def held(values: np.ndarray) -> np.ndarray:
    """Return the values with those of the fifth date held from then on."""
    return np.concatenate([values[FIRST], np.repeat(values[4:5], len(values) - 5, axis=0)])


def regression(data: Belgium, staff: np.ndarray, *, weighted: bool = True) -> np.ndarray:
    """Return the line in idle staff that is fitted to revenue on the first five dates, at all of them."""
    weight = np.tile(data.weight if weighted else np.ones_like(data.weight), 5)
    line = np.polyfit(staff[FIRST].ravel(), data.revenue[FIRST].ravel(), 1, w=np.sqrt(weight))
    return np.polyval(line, staff)


def row(data: Belgium, name: str, made: np.ndarray, model: np.ndarray) -> Row:
    """Return how a prediction did, and the model against it."""
    by_date = np.abs(made - data.revenue) @ data.weight
    return Row(
        name,
        float(by_date[FIRST].mean()),
        float(by_date[LAST].mean()),
        tuple(float(value) for value in by_date[LAST]),
        None if made is model else difference(data, model, made),
    )


def difference(data: Belgium, model: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Return the error of the model minus that of another on the last five dates, with its 90 % bootstrap over groups."""
    gap = (np.abs(model - data.revenue) - np.abs(other - data.revenue))[LAST].mean(axis=0)
    draws = np.random.default_rng(SEED).integers(0, gap.size, (DRAWS, gap.size))
    means = (gap * data.weight)[draws].sum(axis=1) / data.weight[draws].sum(axis=1)
    low, high = np.percentile(means, [5, 95])
    return float(gap @ data.weight), float(low), float(high)


def months(path: q.supply.SupplyPath) -> dict[str, float]:
    """Return value added of all sectors as a share of normal, by month."""
    share = np.asarray(path.value_added).sum(axis=1) / np.asarray(path.base.value_added).sum()
    ends = {"March": (0, 31), "April": (31, 61), "May": (61, 92), "June": (92, 122)}
    return {name: float(share[first:last].mean()) for name, (first, last) in ends.items()}
