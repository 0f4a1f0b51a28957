"""The fitted numbers, from the first five survey dates only: noise of staff, work lost per head, offsets by group."""

from collections.abc import Callable

import numpy as np

from .data import Belgium
from .model import at_surveys, forecast, nowcast
from .scenarios import idle_level
from .staff import noise_ratio, offsets

FIRST = slice(0, 5)
STAFF_SURVEYS = slice(0, 4)
GRID = np.round(np.arange(0, 0.1201, 0.005), 4)
"""Trial values of p, the share of work lost per head at work."""


def fit(data: Belgium) -> dict:
    """Return `ratio`, and p and offsets of the nowcast and the forecast."""
    ratio = noise_ratio(data.idle[STAFF_SURVEYS], data.staff_dates[STAFF_SURVEYS], data.weight)
    level = idle_level(data, ratio)
    found: dict = {"ratio": ratio}
    for name, run in (("nowcast", nowcast), ("forecast", forecast)):
        p, shift, _ = calibrated(data, lambda p, run=run: run(data, level, p))
        found[name] = {"p": p, "offsets": dict(zip(data.groups, map(float, shift), strict=True))}
    return found


def calibrated(data: Belgium, run: Callable) -> tuple[float, np.ndarray, np.ndarray]:
    """Return p and the offsets (g,) that fit the first five dates, and the predictions with them, percent (t, g)."""
    trials = predictions(data, run)
    best = best_of(data, trials, list(range(5)))
    shift = offsets(data.revenue[FIRST] - trials[best, FIRST])
    return float(GRID[best]), shift, np.maximum(trials[best] + shift, -100)


def predictions(data: Belgium, run: Callable) -> np.ndarray:
    """Return the predictions of every trial value of p, percent (trials, t, g)."""
    return np.array([at_surveys(data, run(p)) for p in GRID])


def best_of(data: Belgium, trials: np.ndarray, dates: list[int]) -> int:
    """Return the trial with the least error on some dates."""
    return int((np.abs(trials - data.revenue)[:, dates] @ data.weight).mean(axis=1).argmin())


def leave_one_date_out(data: Belgium, run: Callable) -> float:
    """Return the error on each of the first five dates, p and offsets fitted to the other four, in points."""
    trials, errors = predictions(data, run), []
    for left in range(5):
        rest = [date for date in range(5) if date != left]
        best = trials[best_of(data, trials, rest)]
        guess = best[left] + offsets(data.revenue[rest] - best[rest])
        errors.append(np.abs(guess - data.revenue[left]) @ data.weight)
    return float(np.mean(errors))


def selection(data: Belgium, ratio: float) -> dict[str, float]:
    """Return the errors by which the variants were compared, leaving one of the first five dates out."""
    level = idle_level(data, ratio)
    variants: dict[str, Callable] = {
        "nowcast": lambda p: nowcast(data, level, p),
        "nowcast, staff as surveyed": lambda p: nowcast(data, data.idle, p),
        "forecast": lambda p: forecast(data, level, p),
        "forecast, other buyers' demand shock halved": lambda p: forecast(data, level, p, others=0.5),
        "forecast, no shock to other buyers' demand": lambda p: forecast(data, level, p, others=0.0),
    }
    return {name: leave_one_date_out(data, run) for name, run in variants.items()}
