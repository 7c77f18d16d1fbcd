"""Each command that the documentation shows is run; one that can't be is held to the program.

A command of ours runs in a scratch folder where what it names is there: a film, a data set, a
journal. Those of `_NOT_RUN` are parsed by the real program instead, and their configuration is
loaded. A command in neither, and a program nobody knows, is an error.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import trainers.cli
from jack_stream.cli.app import app
from jack_stream.cli.options import load_config, ready_configurations
from jack_stream.events.journal import Journal
from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.testing import PatternSource
from jack_stream.wire.keys import create
from tests.documents import PAGES, ROOT, Command, commands
from tests.events.making import event

_OURS = {"jack-stream": app, "jack-train": trainers.cli.app}

_STARTERS = ("mpirun", "systemd-run")
_CHEAPER = {"--since": "20000d", "--jobs": "1", "--walks": "8"}
"""Values for options that would cost time, or that leave out the old event which is kept."""

_NOT_RUN = {
    r"jack-stream (run|view|watch|record|replay)\b": "runs on; tests/end_to_end runs it",
    r"jack-stream demo\b": "takes a minute; tests/end_to_end runs the processes that it starts",
    r"jack-stream reload\b": "needs a running system; tests/end_to_end runs it",
    r"jack-stream analyze\b": "compiles and takes minutes; tests/end_to_end runs it",
    r"jack-stream warmup\b": "compiles for minutes; tests/inference calls what it calls",
    r"jack-stream capture\b": "needs a camera or runs on; tests/capture runs it",
    r"jack-stream events .*--follow": "runs on; tests/cli runs it",
    r"jack-stream \S+ .*/(etc|var)/": "reads what a service has",
    r"jack-stream weights (import|verify)\b": "needs authors' checkpoints; tests/weights runs it",
    r"jack-train data prepare tsl\b": "needs a trained I3D; tests/trainers runs it",
    r"jack-train data prepare gaits\b": "takes minutes; tests/trainers runs it",
    r"jack-train (?!data\b)": "trains, or tests what was trained; tests/trainers runs it",
}
"""Commands of ours that are parsed only, and why."""

_ELSEWHERE = {
    ".": "the shell's; make setup makes what it reads",
    "apt-get": "needs root",
    "cd": "the shell's",
    "curl": "needs a running system; tests/service/test_web.py asks the same",
    "export": "the shell's",
    "git": "needs a network",
    "install": "needs root",
    "journalctl": "needs the service",
    "jq": "needs the service",
    "mpirun": "needs Open MPI; tests/trainers/test_parallel.py",
    "node": "tests/test_examples.py runs it",
    "npm": "needs a network",
    "pip": "needs a network",
    "ssh": "needs another machine",
    "sudo": "needs root",
    "systemctl": "needs root",
    "systemd-run": "needs root",
    "uv": "needs a network",
}
"""Programs that are not ours, and why they are not run here."""


def _make_clips(folder: Path) -> None:
    names = ("happy/1.mp4", "happy/2.mp4", "sad/3.mp4", "sad/4.mp4")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    PatternSource(fps=25).write(folder / names[0], 1.0)
    for name in names[1:]:
        shutil.copy(folder / names[0], folder / name)


def _make_walks(folder: Path) -> None:
    folder.mkdir()
    words = ["data", "make-gaits", str(folder / "made.npz"), "--walks", "8"]
    assert CliRunner().invoke(trainers.cli.app, words).exit_code == 0


def _make_bundle(folder: Path) -> None:
    shipped = shipped_bundle("bpm-gcn")
    assert shipped is not None
    shutil.copytree(shipped, folder)


def _make_annotation(path: Path) -> None:
    names = {"1": "happy", "2": "happy", "3": "sad", "4": "sad"}
    subsets = ("training", "validation") * 2
    entries = ", ".join(
        f'"{clip}": {{"subset": "{subset}", "annotations": {{"label": "{label}"}}}}'
        for (clip, label), subset in zip(names.items(), subsets, strict=True)
    )
    path.write_text(f'{{"labels": ["happy", "sad"], "database": {{{entries}}}}}')


_STAND_INS: dict[str, Callable[[Path], None]] = {
    "FOLDER": _make_clips,
    "SET": _make_clips,
    "my-clips": _make_clips,
    "my-set": _make_clips,
    "VIDEOS": _make_clips,
    "walks": _make_walks,
    "BUNDLE": _make_bundle,
    "ve8_01.json": _make_annotation,
}
"""What stands for the files and folders that commands read, by the name in the command."""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; journal and keys of the user are there as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CAMERA_URL", "rtsp://192.0.2.1/x")
    monkeypatch.setenv("VIDEO_FILE", "walk.mp4")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def _keep_an_event() -> None:
    """Write the journal that `jack-stream events` reads by default."""
    from jack_stream.config import default_journal  # noqa: PLC0415 - reads the environment

    default_journal().parent.mkdir(parents=True)
    with Journal(default_journal()) as journal:
        journal.keep([event(stream="hall", published_at_ns=1_772_352_000 * 10**9)], {})


def _reason(command: Command) -> str | None:
    line = " ".join([command.program, *command.words[1:]])
    return next((why for which, why in _NOT_RUN.items() if re.match(which, line)), None)


def _ours(page: Path) -> Iterator[Command]:
    """A page's commands of ours, those that another program starts too."""
    for command in commands([page]):
        names = [word.rpartition("/")[2] for word in command.words]
        started = _OURS.keys() & set(names if names[0] in _STARTERS else names[:1])
        for program in started:
            at = len(names) - 1 - names[::-1].index(program)  # paths may end in its name as well
            words = (program, *command.words[at + 1 :])
            yield command._replace(words=words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run_or_are_understood(page: Path, scratch: Path) -> None:
    _keep_an_event()
    for command in _ours(page):
        if _reason(command) is None:
            _run(command, scratch)
        else:
            _parse(command)


def _run(command: Command, scratch: Path) -> None:
    for word in command.words[1:]:
        if word in _STAND_INS and not (scratch / word).exists():
            _STAND_INS[word](scratch / word)
        if word.endswith(".key") and not (scratch / word).exists():
            create(scratch / "other machine", word.removesuffix(".key"))
            shutil.copy(scratch / "other machine" / word, scratch)
    words = [
        _CHEAPER.get(before, word)
        for before, word in zip(command.words, command.words[1:], strict=False)
    ]
    result = CliRunner().invoke(_OURS[command.program], words)
    said = f"{command.where}: {command.text}\n{result.output}\n{result.exception!r}"
    assert result.exit_code == 0, said
    if command.output:
        (scratch / command.output).parent.mkdir(exist_ok=True)
        (scratch / command.output).write_text(result.stdout)


def _parse(command: Command) -> None:
    words = list(command.words[1:])
    group: Any = typer.main.get_command(_OURS[command.program])
    while isinstance(group, typer.core.TyperGroup):
        name = words.pop(0)
        assert name in group.commands, f"{command.where}: no command {name!r}: {command.text}"
        group = group.commands[name]
    try:
        given = group.make_context(group.name, words).params
    except typer.Exit:
        return
    except Exception as error:
        raise AssertionError(f"{command.where}: {command.text}: {error}") from error
    named = given.get("config")
    if isinstance(named, str) and (named in ready_configurations() or Path(named).exists()):
        load_config(named, given.get("overrides"))
    elif isinstance(named, str):
        assert named.startswith("/etc/"), f"{command.where}: there is no {named}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_programs_are_known_and_what_they_name_exists(page: Path) -> None:
    for command in commands([page]):
        match command.program:
            case "make":
                _check_make(command)
            case "python":
                _check_python(command)
            case program:
                known = program in _OURS or program in _ELSEWHERE
                assert known, f"{command.where}: nobody runs {program}: {command.text}"


def _check_make(command: Command) -> None:
    made = [word for word in command.words[1:] if re.fullmatch(r"[a-z]+", word)]
    makefile = (ROOT / "Makefile").read_text()
    assert made, command.text
    for target in made:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{command.where}: {target}"


def _check_python(command: Command) -> None:
    """The script is there and knows the options; examples are run by tests/test_examples.py."""
    first, *words = command.words[1:]
    if first == "-m" and words[0] == "pytest":
        assert all((ROOT / word).exists() for word in words[1:]), command.text
        return
    if first == "-m" and words[0] == "timeit":
        subprocess.run([sys.executable, *command.words[1:]], check=True, timeout=60)
        return
    path = ROOT / (f"{words.pop(0).replace('.', '/')}.py" if first == "-m" else first)
    assert path.is_file(), f"{command.where}: {command.text}"
    known = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    unknown = {word for word in words if word.startswith("--")} - known
    assert not unknown, f"{command.where}: {path.name} has no {unknown}: {command.text}"


def test_every_exception_is_needed() -> None:
    ours = [" ".join(command.words) for page in PAGES for command in _ours(page)]
    unneeded = [which for which in _NOT_RUN if not any(re.match(which, line) for line in ours)]
    assert not unneeded
    programs = {command.program for command in commands()}
    assert not _ELSEWHERE.keys() - programs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_blocks_that_are_tried(page: Path) -> None:
    """Indented blocks and other languages would be passed over."""
    starts = ("$ ", "jack-", "python ", "make ", "pip ", "uv ", "PYTHONPATH=", "apt")
    text = page.read_text(encoding="utf-8")
    indented = [line for line in text.splitlines() if line.startswith("    ")]
    fenced = re.findall(
        r"^```(?:text|bash|shell|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    lines = [*indented, *(line for block in fenced for line in block.splitlines())]
    assert not [line for line in lines if line.strip().startswith(starts)], "write ```sh"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("jack-stream rnu", "no command 'rnu'"),
        ("jack-stream run --config demo --nonsense", "nonsense"),
        ("jack-stream run --config attic", "there is no attic"),
    ],
)
def test_a_wrong_command_would_be_found(line: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        _parse(Command("here", line, tuple(line.split())))
