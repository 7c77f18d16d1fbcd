from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jack_stream.cli.app import app
from jack_stream.errors import SourceError
from tests.capture.media_files import write_video
from tests.end_to_end.pulse import write_tone


@pytest.mark.parametrize(
    ("name", "method", "said"),
    [
        ("tone.wav", "bpm-gcn", "no pictures that can be decoded, and bpm-gcn looks at pictures"),
        ("tone.wav", "vaanet", "no pictures that can be decoded, and vaanet looks at pictures"),
        ("silent.mp4", "vaanet-audio", "no sound that can be decoded for vaanet-audio"),
    ],
)
def test_a_file_without_what_a_method_needs_is_refused_before_anything_starts(
    name: str, method: str, said: str, tmp_path: Path
) -> None:
    write_tone(tmp_path / "tone.wav", 440, 1)
    write_video(tmp_path / "silent.mp4", frames=5)
    before = sorted(tmp_path.iterdir())
    done = CliRunner().invoke(app, ["analyze", str(tmp_path / name), "--method", method])
    assert isinstance(done.exception, SourceError)
    assert said in str(done.exception)
    assert sorted(tmp_path.iterdir()) == before


def test_a_method_that_is_not_there_is_named_also_where_the_file_is_sound(tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 440, 1)
    done = CliRunner().invoke(app, ["analyze", str(tmp_path / "tone.wav"), "-m", "vaanet-adio"])
    assert "did you mean 'vaanet-audio'?" in str(done.exception)
