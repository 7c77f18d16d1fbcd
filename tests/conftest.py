"""Fixtures that more than one room's tests use."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip without it."""
    if not (_SHARED / "golden").is_dir():
        pytest.skip("needs the reference data in ../shared, which is not part of the repository")
    return _SHARED
