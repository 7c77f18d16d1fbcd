"""A house of journal, feed and subscribers in a folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.events.houses import House


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as made_folder:
        yield Path(made_folder)


@pytest.fixture
def house(folder: Path) -> House:
    return House(folder)
