"""What the tests of the report share; its helper modules are imported by name."""

import sys
from pathlib import Path

import pytest

from quesnay.report import Run

sys.path.insert(0, str(Path(__file__).parent))

from report_runs import economy, run


@pytest.fixture(scope="session")
def small() -> Run:
    """Two regions of four sectors in which a shock makes inputs scarce."""
    return run(economy(["North", "South"], ["Food", "Metal", "Power", "Trade"]), hit={0: 0.7, 5: 0.4}, seed=3)
