"""Fixtures that more than one room's tests use."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip without it."""
    if not (_SHARED / "golden").is_dir():
        pytest.skip("needs the reference data in ../shared, which is not part of the repository")
    return _SHARED


@pytest.fixture(scope="module", autouse=True)
def _memory_given_back() -> Iterator[None]:
    """What a module's networks held: hundreds of tests in one process would add up to gigabytes."""
    yield
    if "jittor" in sys.modules:
        sys.modules["jittor"].gc()
