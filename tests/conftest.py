"""Fixtures and Hypothesis profiles that every test may use."""

import os
from pathlib import Path

import hypothesis
import pytest

import quesnay

ROOT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Tables that are not part of the project: $QUESNAY_SHARED/data, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("QUESNAY_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"no further tables at {folder} (QUESNAY_SHARED names another place)")
    return folder


@pytest.fixture(scope="session")
def us2020() -> "quesnay.Economy":
    """The packaged table: two regions, 29 sectors each."""
    return quesnay.load("us-2020")
