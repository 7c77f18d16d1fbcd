"""What a configuration may say, and what it is told when it is wrong."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.config import dumps, load, loads
from jack_stream.errors import ConfigError
from jack_stream.wire.policy import Policy

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
GOOD = """
[[streams]]
name = "door"
camera = { source = "rtsp://door/1" }
pose = {}
analyzers = [{ method = "bpm-gcn" }]
"""


def _error(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "my.toml", overrides)
    return str(caught.value)


def test_defaults_are_filled_in() -> None:
    config = loads(GOOD, "my.toml")
    stream = config.stream("door")
    assert stream.camera is not None
    assert stream.camera.width == 640
    assert config.runtime.policy is Policy.LIVE
    assert config.events.endpoint == "tcp://127.0.0.1:5577"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_ready_configurations_are_sound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOOR_URL", "HALL_URL", "CAMERA_URL"):
        monkeypatch.setenv(name, "rtsp://user:secret@127.0.0.1/1")
    monkeypatch.setenv("VIDEO_FILE", "film.mp4")
    config = load(path)
    assert loads(dumps(config), "again") == config
    assert all(stream.analyzers for stream in config.streams)


def test_a_wrong_value_is_named_with_file_key_and_value() -> None:
    message = _error(GOOD.replace("pose = {}", "pose = { max_persons = 99 }"))
    assert message.startswith("my.toml: 1 thing(s) wrong:")
    assert "streams.0.pose.max_persons = '99': Input should be less than or equal to 16" in message


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("max_person = 2", "max_persons"), ("capcity = 2", "capacity")],
)
def test_an_unknown_key_is_told_what_was_meant(wrong: str, meant: str) -> None:
    message = _error(GOOD.replace("pose = {}", f"pose = {{ {wrong} }}"))
    key, *_ = wrong.split()
    assert f"streams.0.pose.{key}: there is no such key" in message
    assert f"did you mean {meant!r}?" in message


def test_nobody_is_told_that_the_key_that_was_refused_was_meant() -> None:
    message = _error('[[streams]]\nname = "a"\nmicrophone = { source = "film.mp4" }')
    assert "streams.0.microphone.source: there is no such key" in message
    assert "'source'?" not in message


def test_beside_a_microphone_a_camera_has_no_sound() -> None:
    camera = 'camera = { source = "film.mp4", fps = 5 }'
    both = f'[[streams]]\nname = "a"\n{camera}\nmicrophone = {{ device = "film.wav" }}'
    with_microphone, alone = (
        loads(text, "my.toml").streams[0] for text in (both, both.partition("micro")[0])
    )
    assert with_microphone.camera_alone is not None
    assert not with_microphone.camera_alone.sound
    assert with_microphone.camera_alone.fps == 5
    assert alone.camera_alone is not None
    assert alone.camera_alone.sound


def test_all_faults_are_named_at_once() -> None:
    message = _error(
        '[runtime]\nthreads = 0\n[[streams]]\nname = "a b"\ncamera = { width = 1, source = "0" }'
    )
    assert "3 thing(s) wrong" in message
    for key in ("runtime.threads", "streams.0.name", "streams.0.camera.width"):
        assert key in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("streams = []", "streams"),
        ("", "streams: is missing"),
        ("a = ", "my.toml: not valid TOML"),
        ('[[streams]]\nname = "a"', "needs a camera and/or a microphone, or a scene, or a"),
        ('[[streams]]\nname = "a"\nscene = {}\nmicrophone = {}', "needs a camera and/or"),
        ('[[streams]]\nname = "a"\nmicrophone = {}\npose = {}', "poses are found in pictures"),
        ('[[streams]]\nname = "a"\nscene = {}\n' * 2, "two streams have the name 'a'"),
        ('[[streams]]\nname = "a"\ncamera = {}', "streams.0.camera.source: is missing"),
        ('[[streams]]\nname="a"\nscene={ seconds = inf }', "finite number"),
        ('[events]\nendpoint = "tcp://*:1"\n[[streams]]\nname="a"\nscene={}', "events.endpoint"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, said: str) -> None:
    assert said in _error(text)


def test_overrides_win() -> None:
    config = loads(
        GOOD,
        "my.toml",
        [
            "streams.0.camera.source=1",
            "runtime.threads=2",
            "streams.0.analyzers.0.hop_s=0.5",
            "streams.0.pose.max_persons = 7",
            "runtime.policy=lossless",
        ],
    )
    stream = config.stream("door")
    assert stream.analyzers[0].hop_s == 0.5
    assert stream.pose is not None
    assert stream.pose.max_persons == 7
    assert config.runtime.threads == 2
    assert config.runtime.policy is Policy.LOSSLESS


def test_a_device_number_may_be_given_without_quotes() -> None:
    config = loads(GOOD, "my.toml", ["streams.0.camera.source=1"])
    assert config.streams[0].camera is not None
    assert config.streams[0].camera.source == "1"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("runtime.threads", "write key=value"),
        ("=2", "write key=value"),
        ("streams.7.name=a", "'7' is no index into a list of 1"),
        ("streams.x.name=a", "'x' is no index into a list of 1"),
        ("streams.0.name.first=a", "'name' is a value and has no keys below it"),
        ("streams.0.analyzers.0.method.x.y=1", "'method' is a value"),
        ("streams.0.analyzers.00=1", "'00' is no index"),
        ("runtime.theads=2", "did you mean 'threads'?"),
    ],
)
def test_a_wrong_override_is_named(override: str, said: str) -> None:
    assert said in _error(GOOD, override)


def test_an_override_below_an_item_that_is_a_value_is_named() -> None:
    text = '[[streams]]\nname = "a"\nscene = { styles = ["sad"] }'
    assert "'0' is a value and has no keys below it" in _error(text, "streams.0.scene.styles.0.x=1")


def test_the_environment_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_OF_DOOR", "10.0.0.7")
    config = loads(GOOD.replace("//door", "//${HOST_OF_DOOR}"), "my.toml")
    assert config.streams[0].camera is not None
    assert config.streams[0].camera.source == "rtsp://10.0.0.7/1"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    message = _error(GOOD.replace("//door", "//${NOT_THERE}"))
    assert "streams[0]: camera: source: the environment variable NOT_THERE is not set" in message


@pytest.mark.parametrize(
    "camera",
    [
        'camera = { source = "${SECRET_URL}", width = 1 }',
        'camera = "${SECRET_URL}"',
        'camera = ["${SECRET_URL}"]',
        'camera = { source = ["${SECRET_URL}"] }',
        'camera = { source = "0", width = "${SECRET_URL}" }',
        'camera = { source = "0", "${SECRET_URL}" = 3, width = "x" }',
        'camera = { sauce = "${SECRET_URL}" }',
        'recording = { path = "${SECRET_URL}", pace = "${SECRET_URL}" }',
        'camera = "rtsp://me:hunter2@door/1"',
    ],
)
def test_no_secret_gets_into_a_message(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_URL", "rtsp://me:hunter2@door/1")
    message = _error(f'[[streams]]\nname = "a"\n{camera}')
    assert "hunter2" not in message
    assert "streams.0" in message


def test_no_secret_of_an_override_gets_into_a_message() -> None:
    message = _error(GOOD, "streams.9.camera.source=rtsp://me:hunter2@door/1")
    assert "streams.9" in message
    assert "hunter2" not in message


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: can't be read: No such file"):
        load(tmp_path / "gone.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml: is not UTF-8"):
        load(tmp_path / "bytes.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)


def test_a_stream_that_is_not_there_is_told_which_are() -> None:
    with pytest.raises(ConfigError, match=r"no stream 'hall'\n.*door"):
        loads(GOOD, "my.toml").stream("hall")


_NAMES = st.sampled_from(
    ["runtime", "events", "streams", "name", "camera", "source", "pose", "analyzers", "method",
     "threads", "policy", "endpoint", "scene", "styles", "recording", "path", "width"]
) | st.text(string.ascii_letters + string.punctuation + " äß\n", max_size=8)  # fmt: skip
_VALUES = st.recursive(
    st.none().map(lambda _: "rtsp://x")
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_subnormal=False)
    | st.text(max_size=12)
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


def _is_sound(text: str, *overrides: str) -> bool:
    """Whether it is a configuration; any error but a ConfigError is raised."""
    try:
        loads(text, "random", overrides)
    except ConfigError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(_NAMES, _VALUES, max_size=5))
def test_any_table_is_a_configuration_or_a_config_error(table: dict[str, Any]) -> None:
    assert not _is_sound(tomli_w.dumps(table))


@settings(deadline=None, max_examples=100)
@given(_VALUES, st.sampled_from(["camera", "scene", "pose", "analyzers", "recording", "name"]))
def test_any_stream_is_a_configuration_or_a_config_error(value: Any, key: str) -> None:
    stream = {"name": "a", "camera": {"source": "0"}, key: value}
    _is_sound(tomli_w.dumps({"streams": [stream]}))


@settings(deadline=None, max_examples=200)
@given(st.text("streams.0camerource=[]{}\"'1,\n", max_size=30) | st.text(max_size=20))
def test_any_override_is_an_override_or_a_config_error(override: str) -> None:
    _is_sound(GOOD, override)
    _is_sound(GOOD, f"streams.0.{override}")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "9" * 10_000,
        "a" + ".a" * 100_000 + " = 1",
        "# " + "x" * 2**20,
        "\0" * 100,
        "a = 1e999999999\n[[streams]]\nname = 1",
    ],
)
def test_hostile_toml_is_refused_with_the_files_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"hostile\.toml"):
        load(path)
