"""The unit's sandbox, put up by a real systemd around Jittor's compiler and all that a run uses.

systemd-nspawn boots this very machine's /usr in memory, with nothing else of its files: nothing is
left behind, and the compile cache starts empty. That costs minutes, so it is done in CI, and
elsewhere where JACK_STREAM_SANDBOX is set.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = "/opt/python/bin/" + VERSION if sys.base_prefix != "/usr" else f"/usr/bin/{VERSION}"
SITE = f"/opt/jack-stream/{Path(sys.prefix).name}/lib/{VERSION}/site-packages"
NSPAWN = [
    *("systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes"),
    *("--register=no", "--keep-unit", "--private-network"),
]

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(900)]

DROP_IN = f"""
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
ExecStart=
ExecStart={PYTHON} /opt/jack-stream/tests/end_to_end/sandboxed_service.py
Environment=PYTHONPATH=/opt/jack-stream:{SITE} PYTHONDONTWRITEBYTECODE=1
Environment=LD_LIBRARY_PATH=/opt/python/lib
ExecPaths=-/opt/python
Restart=no
StandardOutput=append:/var/log/jack-stream/out
StandardError=append:/var/log/jack-stream/out
"""


def _facts(folder: Path, *changes: str) -> dict[str, Any]:
    """Start the unit, changed by lines of its section Service, and hear what the program found."""
    units, log = folder / "units", folder / "log"
    (units / "jack-stream.service.d").mkdir(parents=True)
    log.mkdir()
    shutil.copy(ROOT / "systemd/jack-stream.service", units)
    (units / "jack-stream.service.d/test.conf").write_text(DROP_IN + "\n".join(changes) + "\n")
    (units / "systemd-firstboot.service").symlink_to("/dev/null")  # it would ask for a locale
    command = [
        *[*NSPAWN, "--boot"],
        f"--bind-ro={ROOT}:/opt/jack-stream",
        *([f"--bind-ro={sys.base_prefix}:/opt/python"] if sys.base_prefix != "/usr" else []),
        "--bind-ro=/etc/alternatives",
        f"--bind={log}:/var/log/jack-stream",
        f"--bind-ro={units}:/etc/systemd/system",
        *("--", "--unit=jack-stream.service"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=840, check=False, stdin=subprocess.DEVNULL
    )
    said = (log / "out").read_text() if (log / "out").exists() else done.stdout + done.stderr
    lines = [line for line in said.splitlines() if line.startswith("FACTS ")]
    assert lines, said[-4000:]
    facts: dict[str, Any] = json.loads(lines[0].removeprefix("FACTS "))
    return facts


@pytest.fixture(autouse=True)
def _can_boot() -> None:
    if not {"CI", "JACK_STREAM_SANDBOX"} & os.environ.keys():
        pytest.skip("takes minutes; set JACK_STREAM_SANDBOX=1 to run it")
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("needs root and systemd-nspawn")
    probe = subprocess.run(
        [*NSPAWN, "true"], capture_output=True, text=True, timeout=60, check=False
    )
    if probe.returncode != 0:
        pytest.skip(f"systemd-nspawn can't start here: {probe.stderr.strip()[-200:]}")


def test_jittor_compiles_and_a_model_answers_in_the_sandbox(tmp_path: Path) -> None:
    facts = _facts(tmp_path)
    assert facts["uid"] not in (0, os.getuid())
    assert facts["inference"]["kernel"]
    assert "logits" in facts["inference"]["outputs"]
    assert facts["empty picture"]
    assert facts["streamed"]
    assert facts["watchdog_s"] == 15
    assert facts["forbidden"] == []
