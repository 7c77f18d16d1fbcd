"""Fixtures that more than one room's tests use."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.scheduling import FromBothEnds, is_system

# How long an example takes says nothing where the machine is busy or slow.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with kernels to compile first, and whole systems last: tests.scheduling."""
    compiling = {item.path for item in items if item.get_closest_marker("jittor")}

    def turn(item: pytest.Item) -> int:
        file, _, _ = item.nodeid.partition("::")
        return 2 if is_system(file) else int(item.path not in compiling)

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    if config.option.dist != "loadfile":
        return None
    return FromBothEnds(config, log)


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
