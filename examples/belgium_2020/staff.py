"""Staff status without the surveys' noise, and offsets by group that shrink to what the surveys can tell."""

import numpy as np


def local_level(idle: np.ndarray, days: np.ndarray, ratio: float, restart: np.ndarray | None = None) -> np.ndarray:
    """Return the level of each column of `idle` (t, g), by a Kalman filter that looks back only.

    An observation is the level plus noise, and the level is a random walk: in a day its variance grows by `ratio` times that of
    the noise. Where `restart` (t, g) holds, the past says nothing: the activity was reopened since the survey before.
    """
    level, variance, found = idle[0], np.ones(idle.shape[1]), [idle[0]]
    for t in range(1, len(idle)):
        prior = variance + ratio * (days[t] - days[t - 1])
        gain = prior / (prior + 1) if restart is None else np.where(restart[t], 1.0, prior / (prior + 1))
        level, variance = level + gain * (idle[t] - level), gain
        found.append(level)
    return np.array(found)


def noise_ratio(idle: np.ndarray, days: np.ndarray, weight: np.ndarray) -> float:
    """Return `ratio` of `local_level` by least squares on the variogram.

    Half the mean squared difference of two surveys h days apart is `noise + ratio noise h / 2`.
    """
    first, second = np.triu_indices(len(idle), 1)
    half = (idle[second] - idle[first]) ** 2 @ weight / 2
    slope, noise = np.polyfit(days[second] - days[first], half, 1)
    return float(2 * slope / noise)


def offsets(residual: np.ndarray) -> np.ndarray:
    """Return the mean residual (t, g) of each group, shrunk to 0: `m max(0, 1 - v / m^2)`, positive-part James and Stein.

    v is the variance of the mean; the variance of one residual is pooled, the mean over all groups counting as one more date.
    """
    dates, mean = len(residual), residual.mean(axis=0)
    spread = residual.var(axis=0, ddof=1)
    variance = (spread * (dates - 1) + spread.mean()) / dates / dates
    return mean * np.maximum(0, 1 - variance / mean**2)
