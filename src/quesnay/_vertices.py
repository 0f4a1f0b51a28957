"""Which of the constraints that hold at a vertex of a linear programme determine it."""

import numpy as np
import scipy.linalg

UNPRICED = 1e-4
"""What rows without a price count for, beside those that have one."""


def independent(rows: np.ndarray, priced: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of at most n independent rows, the ones that have a price first."""
    if len(rows) <= n:
        return np.arange(len(rows))
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows * np.where(priced, 1.0, UNPRICED)[:, None]
    return scipy.linalg.qr(rows.T, mode="r", pivoting=True)[-1][:n]
