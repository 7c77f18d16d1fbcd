"""The unit file, judged by systemd's own tools. What it does at work: end_to_end/test_hardening."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd/jack-stream.service"
MAX_EXPOSURE = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@needs_systemd
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """With a program that exists: where this one will be installed is the administrator's."""
    text, count = re.subn(r"(?m)^(ExecStart=)\S+", r"\1/bin/true", UNIT.read_text())
    assert count == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
def test_the_exposure_is_low() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) <= MAX_EXPOSURE


def _service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment] # keys have capitals
    parser.read(UNIT)
    return parser["Service"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "on-failure"),
        ("DynamicUser", "yes"),
        ("SupplementaryGroups", "video audio"),
        ("StateDirectory", "jack-stream"),
        ("CacheDirectory", "jack-stream"),
        ("RuntimeDirectory", "jack-stream"),
        ("MemoryDenyWriteExecute", "no"),
    ],
)
def test_what_the_service_rests_on(key: str, value: str) -> None:
    assert _service()[key] == value


def test_every_line_is_explained() -> None:
    page = (UNIT.parents[1] / "docs/service.md").read_text()
    assert [key for key in _service() if f"`{key}" not in page] == []
