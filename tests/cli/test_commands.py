"""Every command from outside: what it prints, how it ends, and never with a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import jack_stream
from jack_stream.cli.app import app
from jack_stream.cli.options import ready_configurations
from jack_stream.inference.catalogue import ANALYZERS
from jack_stream.models.registry import METHODS

_ADDRESSES = {
    "CAMERA_URL": "rtsp://me:hunter2@127.0.0.1/1",
    "DOOR_URL": "rtsp://me:hunter2@127.0.0.1/2",
    "HALL_URL": "rtsp://me:hunter2@127.0.0.1/3",
    "VIDEO_FILE": "film.mp4",
}


def _call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `jack-stream`; whatever happens, a traceback is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "jack_stream", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]

    def walk(group: typer.core.TyperGroup, path: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            found.append((*path, name))
            if isinstance(command, typer.core.TyperGroup):
                walk(command, (*path, name))

    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    walk(root, ())
    return found


def test_all_commands_that_the_manual_names_are_there() -> None:
    assert {
        "run", "demo", "capture", "infer", "record", "replay", "watch", "analyze", "devices",
        "models", "doctor", "warmup", "config", "weights",
    } <= {words[0] for words in _commands() if words}  # fmt: skip


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output
    callbacks = [line.strip() for line in done.output.splitlines() if line.strip()]
    assert len(callbacks) > 3, "a sentence about what it does"


def test_the_version_is_the_packages() -> None:
    done = _call("--version")
    assert (done.returncode, done.stdout) == (0, f"jack-stream {jack_stream.__version__}\n")


@pytest.mark.parametrize("name", sorted(ready_configurations()))
def test_ready_configurations_are_sound_and_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in _ADDRESSES.items():
        monkeypatch.setenv(variable, value)
    checked = CliRunner().invoke(app, ["config", "check", name])
    assert checked.exit_code == 0, checked.exception
    assert checked.output.startswith(f"{name}: sound; it starts ")
    assert "inference" in checked.output
    shown = CliRunner().invoke(app, ["config", "show", name])
    assert shown.exit_code == 0
    assert "[[streams]]" in shown.output or "streams" in shown.output
    assert "hunter2" not in shown.output


def test_ready_configurations_are_listed_with_what_they_are_for() -> None:
    done = CliRunner().invoke(app, ["config", "list"])
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines] == list(ready_configurations())
    assert all(len(line.split()) > 3 for line in lines)


def test_models_lists_every_method() -> None:
    done = CliRunner().invoke(app, ["models", "--json"])
    listing = json.loads(done.output)
    assert [one["method"] for one in listing] == list(METHODS)
    assert {one["method"] for one in listing if one["live"]} == set(ANALYZERS)
    gait = next(one for one in listing if one["method"] == "bpm-gcn")
    assert gait["modalities"] == ["pose"]
    assert len(gait["labels"]) == 4


def test_doctor_says_what_is_there_as_json() -> None:
    done = _call("doctor", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert {"mediapipe", "pyzmq", "av", "opencv-python", "cameras"} <= set(found)
    missing = [one for one in found.values() if one["required"] and not one["ok"]]
    assert done.returncode == (69 if missing else 0)
    assert all(one["advice"] for one in missing)
    assert found["pyzmq"]["ok"]


def test_devices_are_listed_or_it_is_said_that_there_are_none() -> None:
    done = _call("devices", "--json")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"cameras", "microphones"}


_STREAM = """
[[streams]]
name = "door"
camera = { source = "/nowhere/film.mp4", SIZE }
pose = {}
analyzers = [{ method = "METHOD" }]
"""


def _file(folder: Path, size: str = "width = 640", method: str = "bpm-gcn") -> str:
    path = folder / "my.toml"
    path.write_text(_STREAM.replace("SIZE", size).replace("METHOD", method), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("command", ["run", "infer", "warmup"])
def test_a_configuration_that_is_not_there_is_named(command: str) -> None:
    done = _call(command, "--config", "webcm")
    assert done.returncode == 78
    assert "webcm: there is no such file or ready configuration" in done.stderr
    assert "webcam" in done.stderr


def test_a_wrong_key_is_named_with_its_file(tmp_path: Path) -> None:
    done = _call("run", "-c", _file(tmp_path, "widht = 640"))
    assert done.returncode == 78
    assert f"{tmp_path}/my.toml: 1 thing(s) wrong" in done.stderr
    assert "streams.0.camera.widht: there is no such key; did you mean 'width'?" in done.stderr


@pytest.mark.parametrize("command", [("run", "-c"), ("config", "check"), ("infer", "-c")])
def test_a_method_that_is_not_there_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    done = _call(*command, _file(tmp_path, method="bpm-gnc"))
    assert done.returncode == 78
    assert "method = 'bpm-gnc'" in done.stderr
    assert "did you mean 'bpm-gcn'?" in done.stderr


def test_a_variable_that_is_not_set_is_named() -> None:
    done = _call("config", "check", "file", VIDEO_FILE_="")
    assert done.returncode == 78
    assert "the environment variable VIDEO_FILE is not set" in done.stderr


def test_a_source_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = _call("run", "-c", _file(tmp_path))
    assert done.returncode == 66
    assert done.stderr == ("jack-stream: stream 'door': /nowhere/film.mp4: there is no such file\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("analyze", "gone.mp4"), 66, "gone.mp4: there is no such file"),
        (("analyze", "text.mp4"), 66, "text.mp4: can't be read as a video or sound file"),
        (("analyze", "text.mp4", "-o", "gone/a.jsonl"), 64, "the folder gone does not exist"),
        (("analyze", "text.mp4", "-m", "bpm-gnc"), 78, "did you mean 'bpm-gcn'?"),
        (("analyze",), 2, "Missing argument"),
        (("replay", "gone.jack", "-c", "demo"), 66, "gone.jack"),
        (("replay", "text.mp4", "-c", "demo"), 66, "text.mp4"),
        (("record", "text.mp4", "-c", "demo"), 64, "text.mp4"),
        (("record", "gone/a.jack", "-c", "demo"), 66, "gone/a.jack"),
        (("run", "-c", "demo", "--set", "streams.0.name=a b"), 78, "streams.0.name = 'a b'"),
        (("run", "-c", "demo", "--set", "events.endpoint=tcp://0.0.0.0:1"), 78, "other machines"),
        (("run", "-c", "demo", "--set", "runtime.directory=/proc/x"), 78, "can't be made"),
        (("watch", "--events", "tcp://10.0.0.1:1"), 78, "other machines"),
        (("capture", "camera", "gone.mp4", "--endpoint", "ipc:///tmp/e1-none"), 66, "gone.mp4"),
        (("capture", "camera", "0", "--endpoint", "nowhere"), 78, "nowhere"),
        (
            ("capture", "microphone", "gone.wav", "--endpoint", "ipc:///tmp/e1-none"),
            66,
            "microphone",
        ),
        (("weights", "show", "gone"), 74, "gone"),
        (("worker", "camera"), 78, "from the process that starts it"),
        (("worker", "tea"), 2, "tea"),
        (("fly",), 2, "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_end_with_a_message_and_a_fitting_code(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.mp4").write_text("this is no film\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = _call(*words)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
