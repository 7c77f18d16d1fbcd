"""Which processes a configuration starts, and how many listeners each one waits for."""

from __future__ import annotations

from typing import Any

import pytest

from jack_stream.config import Config, parse
from jack_stream.errors import ConfigError
from jack_stream.service.plan import plan, sources

CAMERA, FILM = {"source": "0", "sound": False}, {"source": "film.mp4"}


def _config(*methods: str, **stream: Any) -> Config:
    analyzers = [{"method": method} for method in methods]
    table = {"name": "door", "analyzers": analyzers, **stream}
    return parse({"runtime": {"directory": "/run/j"}, "streams": [table]}, "test")


@pytest.mark.parametrize(
    ("methods", "stream", "receivers"),
    [
        # poses of a camera: inference needs no pictures
        (["bpm-gcn"], {"camera": CAMERA, "pose": {}}, {"camera": 1, "pose": 1}),
        # pictures and a microphone of its own: the camera's sound is not wanted
        (["vaanet"], {"camera": CAMERA, "microphone": {}}, {"camera": 1, "microphone": 1}),
        # picture and sound of one film come through one socket
        (["vaanet"], {"camera": FILM}, {"camera": 1}),
        # both
        (
            ["bpm-gcn", "vaanet"],
            {"camera": CAMERA, "microphone": {}, "pose": {}},
            {"camera": 2, "microphone": 1, "pose": 1},
        ),
        # sound only, of a film whose pictures nobody wants
        (["vaanet-audio"], {"microphone": {"device": "film.mp4"}}, {"microphone": 1}),
        (["bpm-gcn"], {"scene": {}, "pose": {}}, {"scene": 1, "pose": 1}),
        (["bpm-gcn", "vaanet"], {"scene": {}, "pose": {}}, {"scene": 2, "pose": 1}),
        # recorded poses, and poses found anew in recorded pictures
        (["bpm-gcn"], {"recording": {"path": "a"}}, {"recording": 1}),
        (["bpm-gcn"], {"recording": {"path": "a"}, "pose": {}}, {"recording": 1, "pose": 1}),
        # nobody looks
        ([], {"camera": CAMERA, "microphone": {}, "pose": {}},
         {"camera": 1, "microphone": 0, "pose": 0}),
    ],
)  # fmt: skip
def test_each_process_waits_for_all_who_listen_to_it(
    methods: list[str], stream: dict[str, Any], receivers: dict[str, int]
) -> None:
    config = _config(*methods, **stream)
    found = {one.role: one.receivers(config) for one in plan(config)}
    assert found == {**receivers, "inference": 0, "journal": 0, "metrics": 0}


def test_all_streams_share_one_inference() -> None:
    config = parse(
        {
            "streams": [
                {"name": "a", "camera": CAMERA, "pose": {}},
                {"name": "b", "scene": {}},
            ]
        },
        "test",
    )
    names = [one.name for one in plan(config)]
    assert names == ["camera.a", "pose.a", "scene.b", "inference", "journal", "metrics"]


def test_a_page_is_a_process_of_its_own_and_not_where_captures_would_wait_for_it() -> None:
    table = {"view": {"enabled": True}, "streams": [{"name": "b", "scene": {}}]}
    assert plan(parse(table, "test"))[-1].name == "view"
    with pytest.raises(ConfigError, match="needs the live policy"):
        parse({**table, "runtime": {"policy": "lossless"}}, "test")


def test_a_stream_is_recorded_from_all_its_processes() -> None:
    config = _config("bpm-gcn", camera=CAMERA, microphone={}, pose={})
    every = [f"ipc:///run/j/door.{role}" for role in ("camera", "microphone", "pose")]
    assert sources(config, "door") == every
    assert sources(config, "door", poses_only=True) == every[-1:]
    with pytest.raises(ConfigError, match="hall"):
        sources(config, "hall")


@pytest.mark.parametrize(
    ("method", "stream", "said"),
    [
        ("bpm-gcn", {"camera": CAMERA}, "look at pose data.*\n.*add .streams.pose"),
        ("vaanet", {"camera": CAMERA}, "look at audio data.*\n.*add a microphone"),
        ("vaanet", {"microphone": {}}, "look at frame data.*\n.*add a camera"),
    ],
)
def test_a_method_that_would_wait_for_ever_is_refused(
    method: str, stream: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=f"stream 'door': its analyzers {said}"):
        plan(_config(method, **stream))
