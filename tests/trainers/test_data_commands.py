"""``jack-train data`` as its user types it: what it says, and its exit codes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.capture.media_files import RATE, write_video
from tests.trainers.made_clips import write_clips
from trainers.cli import main
from trainers.data.clips import read_clips
from trainers.data.stock.inventory import duration

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jack-train", "data", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ran


def _row(out: str, first: str) -> list[str]:
    lines = [line.replace("│", " ").split() for line in out.splitlines()]
    return next(words for words in lines if words[:1] == [first])


def test_check_counts_clips_of_each_layout(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "plain", clips=12)
    write_clips(tmp_path / "reference", clips=12, layout="annotated")
    code, out, _ = run("check", tmp_path / "plain", tmp_path / "reference", "--decode", "--jobs", 1)
    assert code == 0
    plain, reference = out.split(str(tmp_path / "reference"))
    for part in (plain, reference):
        assert _row(part, "Joy")[1:5] == ["4", "2", "6", "144"]
        assert _row(part, "all")[1:] == ["8", "4", "12", "288", "24.0", "s", "0"]
        assert "no faults" in part
    assert "split: the folders train, val and test" in plain
    assert "split: the owners' (made.json)" in reference


def test_check_finds_what_only_decoding_shows(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    picture = tmp_path / "imgs/Joy/0001/000005.jpg"
    picture.write_bytes(picture.read_bytes()[:300])
    assert run("check", tmp_path)[0] == 0
    code, out, _ = run("check", tmp_path, "--decode", "--jobs", 2)
    assert code == 1
    assert "can't be used: 0001: " in out
    assert "000005.jpg" in out


def test_check_opens_every_sound(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    (tmp_path / "mp3/Joy/0001.wav").write_bytes(b"no sound at all")
    (tmp_path / "mp3/Anger/0002.wav").unlink()
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "can't be used: 0001: " in out
    assert "0001.wav" in out
    assert _row(out, "Anger")[-1] == "1", "one clip is without sound, which is no fault"


def test_check_lists_ten_faults_or_all(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    for picture in tmp_path.glob("imgs/*/*/000003.jpg"):
        picture.unlink()
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert out.count("can't be used: ") == 10
    assert "and 2 more; --all lists them" in out
    assert run("check", "--all", tmp_path)[1].count("can't be used: ") == 12


def test_check_knows_walks_and_sounds(run: Run, shared: Path, tmp_path: Path) -> None:
    assert run("make-gaits", tmp_path / "made.npz", "--walks", 8)[0] == 0
    fragments = shared / "data/emotion_gait_fragments/sample_features.h5"
    code, out, _ = run("check", tmp_path / "made.npz", fragments)
    assert code == 0
    made, real = out.split(str(fragments))
    assert _row(made, "happy") == ["happy", "2", "10.0", "s"]
    assert _row(real, "angry")[1] == "2"
    assert _row(real, "neutral")[1] == "1"
    code, out, _ = run("check", shared / "data/emodb")
    assert code == 0
    assert _row(out, "angry")[1:3] == ["99", "8"]


def test_check_knows_tsl_300_and_what_its_owners_do_not_publish(run: Run, shared: Path) -> None:
    code, out, _ = run("check", shared / "data/tsl300")
    assert code == 1
    assert _row(out, "train")[1:5] == ["200", "600", "458", "3532"]
    assert _row(out, "test")[1:4] == ["100", "352", "232"]
    assert "features/test/rgb" in out


def test_what_is_no_data_set_ends_with_a_sentence(run: Run, tmp_path: Path, shared: Path) -> None:
    code, _, err = run("check", tmp_path)
    assert code == 66
    assert "is no data set of a kind that is known here" in err
    code, _, err = run("check", shared / "data/annotations/ve8_01.json")
    assert code == 66
    assert "there is no folder of pictures beside it" in err
    (tmp_path / "ve8.json").write_text('{"labels": 3}')
    (tmp_path / "imgs").mkdir()
    code, _, err = run("check", tmp_path)
    assert code == 66
    assert "ve8.json: can't be read as an annotation" in err


def test_prepare_clips_and_check_what_it_made(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "videos", clips=12)
    code, out, _ = run("prepare", "clips", tmp_path / "videos", tmp_path / "out", "--jobs", 1)
    assert code == 0
    assert "annotation.json: the split is the folders train, val and test" in out
    assert len(list((tmp_path / "out/mp3").rglob("*.mp3"))) == 12
    code, out, _ = run("check", tmp_path / "out", "--decode", "--jobs", 1)
    assert code == 0
    assert _row(out, "all")[1:5] == ["8", "4", "12", "288"]
    assert len(read_clips(tmp_path / "out").training) == 8


def test_i3d_features_need_a_network(run: Run, tmp_path: Path) -> None:
    code, _, err = run("prepare", "tsl", tmp_path, tmp_path / "out")
    assert code == 64
    assert "--i3d BUNDLE" in err
    assert run("prepare", "tsl", tmp_path, tmp_path, "--untrained", "--i3d", "x")[0] == 64


@pytest.mark.jittor
def test_prepare_tsl_with_an_untrained_network(run: Run, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    tone = 0.3 * np.sin(np.arange(RATE) / 20)
    write_video(tmp_path / "videos/v.mkv", frames=25, sound=tone.astype(np.float32))
    code, out, _ = run("prepare", "tsl", tmp_path / "videos", tmp_path / "out", "--untrained")
    assert code == 0
    assert "untrained" in out
    assert json.loads((tmp_path / "out/features/i3d.json").read_text())["trained"] is False
    rgb = np.load(tmp_path / "out/features/train/rgb/v.npy")
    assert rgb.shape == (1, 1024)
    assert np.isfinite(rgb).all()
    assert rgb.std() > 0
    code, out, _ = run("check", tmp_path / "out")
    assert code == 0
    assert _row(out, "train")[1:7] == ["1", "0", "0", "0", "1", "1"]


def test_durations_read_well() -> None:
    assert [duration(s) for s in (4.25, 59.94, 185, 7385)] == [
        "4.2 s",
        "59.9 s",
        "3:05 min",
        "2:03:05 h",
    ]
