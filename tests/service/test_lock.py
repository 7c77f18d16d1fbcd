"""One system per folder of sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jack_stream.errors import ConfigError
from jack_stream.service.lock import sole_owner


def test_a_second_run_in_the_same_folder_is_told_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    with sole_owner(folder):
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"), sole_owner(folder):
            pass
        with sole_owner(tmp_path / "others"):
            pass
    with sole_owner(folder):
        pass


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/below"), sole_owner(tmp_path / "file/below"):
        pass
