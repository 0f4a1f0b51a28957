"""A stress test in a few numbers that programs and terminals can show."""

import math
from typing import Any

import numpy as np

from ... import __version__
from .study import Study

MOST = 10


def summary(study: Study) -> dict[str, Any]:
    """Return a stress test's main numbers as text, numbers, lists and dicts that JSON can hold.

    Keys
    ----
    title, table, year, currency, reference, headline, seed, version:
        What was tested; headline is the temperature of the tables by sector and region, degrees C.
    damage:
        source, year, domain (two numbers, None where unbounded), warning.
    base:
        gdp, output, factor and the outcomes at the reference.
    readings:
        Reading -> a list of rows, one for each temperature: temperature, damage (largest over accounts), gdp, loss (share),
        slope (per degree C), slope_left, kink, per_tenth, output, factor, spectral_radius, outcomes, bottleneck (region,
        sector, or None), outside (of the damage function's domain), result. What is not finite is None.
    collapse:
        temperature (None where there is none), damage, spectral_radius at the reference, outside.
    sectors, regions:
        Losses of value added at the headline, the largest first: name, loss (currency), share (of its own value added).
    resilience:
        The ten accounts whose vulnerability is best reduced first, at the headline: region, sector, gamma, gain (GDP per unit
        of gamma less), tenth (GDP gained if a tenth of gamma goes, to first order); None where there is no answer.
    match:
        scale, at, loss, source; or None.
    uncertainty:
        temperatures, levels, gdp (quantiles by level), sd, delta_sd; or None.
    inputs:
        File name -> SHA-256.
    """
    economy, found = study.economy, study.collapse
    return {
        "title": study.title,
        "table": economy.name,
        "year": economy.year,
        "currency": economy.currency,
        "reference": study.reference,
        "headline": float(study.temperatures[study.at]),
        "seed": study.seed,
        "version": __version__,
        "damage": {
            "source": study.damage.source,
            "year": study.damage.year,
            "domain": [_plain(end) for end in study.damage.domain],
            "warning": study.damage.warning,
        },
        "base": {
            "gdp": study.base_gdp,
            "output": float(study.base_output.sum()),
            "factor": study.base_factor,
            **{name: study.base_outcome(name) for name in study.outcomes},
        },
        "readings": {name: _rows(study, k) for k, name in enumerate(study.names)},
        "collapse": {
            "temperature": _plain(found.temperature),
            "damage": None if found.damage is None else _plain(found.damage),
            "spectral_radius": float(found.spectral_radius),
            "outside": bool(found.outside),
        },
        "sectors": _losses(study.by_sector(study.lost[study.at]), study.by_sector(study.base_value_added)),
        "regions": _losses(study.by_region(study.lost[study.at]), study.by_region(study.base_value_added)),
        "resilience": _resilience(study),
        "match": _match(study),
        "uncertainty": _uncertainty(study),
        "inputs": dict(study.inputs),
    }


def _plain(value: Any) -> float | None:
    """Return a number, or None where it is not finite: JSON has no other word for it."""
    number = float(value)
    return number if math.isfinite(number) else None


def _rows(study: Study, which: int) -> list[dict[str, Any]]:
    result, rows = study.results[which], []
    for k, ended in enumerate(study.ended[which]):
        limit = int(result.bottleneck[k])
        rows.append(
            {
                "temperature": float(study.temperatures[k]),
                "damage": _plain(np.max(np.asarray(result.damage[k]))),
                **{name: _plain(getattr(result, name)[k]) for name in ("gdp", "loss", "slope", "slope_left", "per_tenth")},
                "kink": bool(result.kink[k]),
                "output": _plain(np.sum(np.asarray(result.output[k]))),
                "factor": _plain(result.factor[k]),
                "spectral_radius": _plain(result.spectral_radius[k]),
                "outcomes": {name: _plain(result.outcomes[name][k]) for name in study.outcomes},
                "bottleneck": list(study.accounts[limit]) if limit >= 0 else None,
                "outside": bool(result.outside[k]),
                "result": ended,
            }
        )  # fmt: skip
    return rows


def _losses(lost: dict[str, Any], base: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [
        {"name": name, "loss": float(value), "share": float(value / base[name]) if base[name] else None}
        for name, value in lost.items()
    ]
    return sorted(rows, key=lambda row: -row["loss"])


def _resilience(study: Study) -> list[dict[str, Any]] | None:
    if study.resilience is None:
        return None
    gain = np.asarray(study.resilience.gain)
    tenth = 0.1 * gain * study.gamma
    return [
        {
            "region": study.accounts[k][0],
            "sector": study.accounts[k][1],
            "gamma": float(study.gamma[k]),
            "gain": float(gain[k]),
            "tenth": float(tenth[k]),
        }
        for k in np.argsort(-tenth, kind="stable")[:MOST].tolist()
    ]


def _match(study: Study) -> dict[str, Any] | None:
    if study.match is None:
        return None
    found = study.match.found
    return {
        "scale": float(found.scale),
        "at": study.match.at,
        "loss": float(found.loss),
        "source": study.match.source,
    }


def _uncertainty(study: Study) -> dict[str, Any] | None:
    draws = study.gdp_draws
    if draws is None or study.drawn_at is None:
        return None
    return {
        "draws": int(draws.draws.shape[0]),
        "temperatures": study.drawn_at.tolist(),
        "levels": np.asarray(draws.levels).tolist(),
        "gdp": np.asarray(draws.quantiles).tolist(),
        "sd": np.asarray(draws.sd).tolist(),
        "delta_sd": np.asarray(draws.delta).tolist(),
    }
