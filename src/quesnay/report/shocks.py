"""Shocks in sentences."""

import numpy as np

from .. import supply
from . import words
from .run import Run


def sentences(run: Run) -> tuple[str, ...]:
    """Return the shocks of a run as sentences: the given ones, or ones derived from the shock itself."""
    if run.shocks:
        return run.shocks
    return _say(run, run.shock)


def _say(run: Run, shock: supply.AbstractShock | None) -> tuple[str, ...]:
    match shock:
        case None:
            return ("There is no shock: the economy stays at its base state.",)
        case supply.Together(shocks=shocks):
            return tuple(text for one in shocks for text in _say(run, one))
        case supply.CapacityLoss():
            return (_capacity(run, shock),)
        case _:
            return (f"A shock of the kind {type(shock).__name__}.",)


def _capacity(run: Run, shock: supply.CapacityLoss) -> str:
    n = run.economy.n
    loss = np.broadcast_to(np.asarray(shock.loss), n)
    hit = loss > 0
    if not hit.any():
        return "A loss of capacity of 0 % in every sector: nothing is lost."
    where = _where(run, hit)
    low, high = loss[hit].min(), loss[hit].max()
    if low == high:
        what = f"{words.percent(high, 3)} of the capacity of {where} is lost"
    else:
        worst = run.place(int(loss.argmax()))
        span = f"between {words.percent(low, 3)} and {words.percent(high, 3)}"
        what = f"{span} of the capacity of {where} is lost (most: {worst})"
    start, duration = (_range(np.broadcast_to(np.asarray(v), n)[hit]) for v in (shock.start, shock.duration))
    whole = "" if duration == "0" else f" and stays lost for {duration} days"
    return f"{words.sentence(what)} on day {start}{whole}; {_recovery(shock.recovery, n, hit)}."


def _where(run: Run, hit: np.ndarray) -> str:
    mine = [account for account, lost in zip(run.accounts, hit, strict=True) if lost]
    places, names = (list(dict.fromkeys(account[k] for account in mine)) for k in (0, 1))
    inside = "" if len(run.economy.regions) == 1 else f" in {words.listed(places, 4)}"
    if hit.all():
        return "all sectors"
    if len(names) * len(places) == len(mine) and len(names) <= 6:
        return f"{words.listed(names)}{inside}"
    return f"{words.count(len(mine), 'sector')}{inside}"


def _range(values: np.ndarray) -> str:
    low, high = (words.number(v) for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _recovery(recovery: supply.AbstractRecovery | None, n: int, hit: np.ndarray) -> str:
    def per_account(values) -> str:
        return _range(np.broadcast_to(np.asarray(values), n)[hit])

    match recovery:
        case None:
            return "it does not come back"
        case supply.Exponential(rate=rate):
            days = per_account(1 / np.asarray(rate))
            return f"from then on the loss fades exponentially, to 37 % of itself every {days} days"
        case supply.Linear(days=days):
            return f"from then on it comes back in equal daily steps within {per_account(days)} days"
        case supply.Tabulated(days=days, share=share):
            last = (
                f"{words.percent(float(share[-1]), 3)} of the loss is left after {words.number(float(days[-1]))} days"
            )
            return f"from then on it comes back along a given table: {last}"
        case _:
            return f"it comes back by the rule {type(recovery).__name__}"
