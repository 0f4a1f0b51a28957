"""The errors that quesnay raises: each message is one sentence that says what, where, and what to do."""


class QuesnayError(Exception):
    """Base class of every error that quesnay raises on purpose."""


class TableError(QuesnayError, ValueError):
    """A table that cannot be used: shapes, NaN, labels, balance, or an unproductive technology."""


class LabelError(QuesnayError, LookupError):
    """A region, sector, category or account name that is unknown, missing or given twice."""


class InputError(QuesnayError, ValueError):
    """An argument outside its domain: a sign, a range, a shape, or two arguments that contradict each other."""


class ScenarioError(QuesnayError, ValueError):
    """A scenario file that cannot be run; the message names file, key, value and the allowed values."""


class SolveError(QuesnayError, RuntimeError):
    """A solve or a simulation that did not succeed; `throw=False` returns its result code instead."""


class StabilityWarning(UserWarning):
    """A supply model's order rule amplifies small disturbances: its linearised step has spectral radius above 1."""


class SlowEngineWarning(UserWarning):
    """Firm networks run in pure JAX: the same numbers, several times slower."""


class RareEventWarning(UserWarning):
    """A relaxed draw meets events so rare that its derivative may be wrong many times over."""


class ConvergenceWarning(UserWarning):
    """A fit or a chain ended before it converged; its posterior says `converged=False`."""
