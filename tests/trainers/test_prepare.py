"""From folders of videos to what the trainers read: the same pictures, sounds, features, poses."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.clock import Clock
from jack_stream.errors import SourceError, UsageError
from jack_stream.features import logmel
from jack_stream.features.gait_window import body_height
from jack_stream.features.mel import power_to_db
from jack_stream.features.skeleton import joint_index
from jack_stream.features.views import i3d_view
from jack_stream.inference.analyzer import Step
from jack_stream.inference.localisation import FPS, PERIOD_NS, i3d_encoder, segment_power
from jack_stream.inference.snippets import Encoder, SnippetCache
from jack_stream.wire.messages import Frame
from tests.capture.media_files import RATE, number_of, write_video
from tests.inference.streams import S, answered, stamp, window
from tests.trainers.made_clips import FRAMES, write_clips
from trainers.data.clip_media import pictures, samples_of
from trainers.data.clips import read_clips, read_frames, read_sound
from trainers.data.prepare.clips import prepare_clips, sound_format
from trainers.data.prepare.gaits import prepare_gaits
from trainers.data.prepare.tsl import FeatureNetwork, prepare_tsl
from trainers.data.tsl300 import read_sentiments
from trainers.data.walks import read_walks


def test_clips_become_the_references_layout(tmp_path: Path) -> None:
    write_clips(tmp_path / "videos", clips=12)
    videos = read_clips(tmp_path / "videos")
    written, said, left_out = prepare_clips(tmp_path / "videos", tmp_path / "out", sound="flac")
    assert (said, left_out) == ("the folders train, val and test", [])
    made = read_clips(tmp_path / "out")
    assert made.labels == videos.labels
    assert made.counts() == videos.counts()
    for before in (*videos.training, *videos.validation):
        stem = Path(before.name).name
        after = next(c for c in (*made.training, *made.validation) if c.name == stem)
        assert (after.label, after.n_frames, after.frame_rate_hz) == (before.label, FRAMES, 12.0)
        folder = after.frames
        assert (folder / "000001.jpg").is_file()
        assert (folder / "n_frames").read_text() == "24"
        np.testing.assert_allclose(read_sound(after, 16000), read_sound(before, 16000), atol=1e-4)
        small = np.asarray(
            Image.fromarray(read_frames(after, [7])[0]).resize((64, 48), Image.Resampling.BOX)
        )
        assert small.shape == (48, 64, 3)
        original = read_frames(before, [7])[0].astype(float)
        assert np.abs(small - original).mean() < 4
    assert read_frames(made.training[0], [0]).shape == (1, 240, 320, 3)
    assert json.loads(written.read_text())["labels"] == ["Anger", "Joy"]


def test_the_owners_annotation_decides(tmp_path: Path) -> None:
    for label, name in (("joy", "7"), ("joy", "8"), ("Fear", "9")):
        path = tmp_path / "videos" / label / f"{name}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames=20)
    database = {
        name: {"subset": subset, "annotations": {"label": label}}
        for name, label, subset in (
            ("7", "Joy", "validation"),
            ("9", "Fear", "training"),
            ("10", "Fear", "training"),
        )
    }
    annotation = tmp_path / "ve8_01.json"
    annotation.write_text(json.dumps({"labels": ["Fear", "Joy"], "database": database}))
    out = tmp_path / "out"
    with pytest.raises(
        SourceError, match="1 videos can't be used, such as\n  10: there is no video"
    ):
        prepare_clips(tmp_path / "videos", out, annotation=annotation)
    assert not out.exists()
    _, said, left_out = prepare_clips(
        tmp_path / "videos", out, annotation=annotation, skip_corrupt=True
    )
    assert "the owners'" in said
    assert [fault.name for fault in left_out] == ["10"]
    found = read_clips(out / "ve8_01.json")
    assert [(clip.name, clip.label, clip.sound) for clip in found.training] == [("9", 0, None)]
    assert [(clip.name, clip.label) for clip in found.validation] == [("7", 1)]
    assert [number_of(p) for p in read_frames(found.training[0], [0, 13])] == [0, 13]


def test_videos_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for name in ("1", f"{label}2", f"{label}3"):
            path = tmp_path / "videos" / label / f"{name}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, frames=16)
    prepare_clips(tmp_path / "videos", tmp_path / "out")
    found = read_clips(tmp_path / "out")
    names = sorted(clip.name for clip in (*found.training, *found.validation))
    assert names == ["a2", "a3", "a_1", "b2", "b3", "b_1"]


_KILLED = """
import os, signal, sys
from pathlib import Path
import cv2
from trainers.data.prepare.clips import prepare_clips
encode, calls = cv2.imencode, []
def encoded(*arguments):
    calls.append(1)
    if len(calls) > 60:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(*arguments)
cv2.imencode = encoded
prepare_clips(Path(sys.argv[1]), Path(sys.argv[2]), sound="wav")
"""


def test_after_a_kill_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    videos, out, whole = tmp_path / "videos", tmp_path / "out", tmp_path / "whole"
    write_clips(videos, clips=12)
    killed = subprocess.run([sys.executable, "-c", _KILLED, videos, out], check=False)
    assert killed.returncode == -9
    assert not (out / "annotation.json").exists()
    done = {folder: folder.stat().st_mtime_ns for folder in _visible(out / "imgs")}
    assert len(done) == 60 // FRAMES
    assert list(out.rglob(".partial-*")), "it was killed in the middle of a video"
    assert all((folder / "n_frames").read_text() == "24" for folder in done)

    prepare_clips(videos, out, sound="wav", jobs=2)
    prepare_clips(videos, whole, sound="wav")
    assert not list(out.rglob(".partial-*"))
    assert {folder: folder.stat().st_mtime_ns for folder in done} == done, "done once is enough"
    assert _contents(out) == _contents(whole)


def test_damaged_videos_are_listed_and_left_out_only_on_request(tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    write_clips(videos, clips=12)
    damaged = next((videos / "train/Joy").glob("*.mkv"))
    write_video(damaged, frames=100)
    stored = bytearray(damaged.read_bytes())
    third = len(stored) // 3
    stored[third : third + len(stored) // 10] = bytes(len(stored) // 10)
    damaged.write_bytes(stored)
    with pytest.raises(SourceError, match=rf"(?s)1 of 12 videos.*{damaged.stem}"):
        prepare_clips(videos, out)
    assert not (out / "annotation.json").exists()
    assert len(_visible(out / "imgs")) == 11, "the others are made"
    _, _, left_out = prepare_clips(videos, out, skip_corrupt=True)
    assert [fault.name for fault in left_out] == [damaged.stem]
    assert len(read_clips(out).training) == 7


def test_what_can_not_be_written_is_said(tmp_path: Path) -> None:
    write_clips(tmp_path / "videos", clips=12)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="out"):
        prepare_clips(tmp_path / "videos", tmp_path / "out")
    with pytest.raises(UsageError, match="--sound ogg: is none of mp3, flac, wav"):
        sound_format("ogg")


class _Network:
    """In place of I3D: features that depend on every picture of a clip and cost nothing."""

    method, origin, trained = "i3d", None, False
    clips = 0  # of all of them in this process

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        _Network.clips += len(inputs["clip"])
        pixels = inputs["clip"][:, 0, :, ::28, ::28].reshape(len(inputs["clip"]), 1024, 1, 1, 1)
        return {"features": pixels.astype(np.float32)}


class _Cheap(FeatureNetwork):
    def encoder(self) -> Encoder:
        network: Any = _Network()
        return i3d_encoder(network)


CHEAP = _Cheap(None)


def _sweep(seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * (300 + 400 * at) * at)).astype(np.float32)


def test_tsl_features_are_those_of_the_live_stream(tmp_path: Path) -> None:
    cells, frames = 4, 70
    video = tmp_path / "videos/v.mkv"
    video.parent.mkdir()
    write_video(video, frames=frames, sound=_sweep(frames / FPS))
    network: Any = _Network()
    prepare_tsl(tmp_path / "videos", tmp_path / "out", CHEAP)
    made = tmp_path / "out/features/train"
    rgb, mel = np.load(made / "rgb/v.npy"), np.load(made / "logmfcc/v.npy")
    assert rgb.shape == (cells, 1024)
    assert len(mel) == pytest.approx(2.001 * frames, abs=1.5)

    live = [
        Frame(stamp(i, round(i / FPS * S)), i3d_view(picture), (128, 64))
        for i, picture in enumerate(pictures(video))
    ]
    encode = i3d_encoder(network)
    step = Step(network, "see", lambda rows: encode(rows["clips"]))
    cache = SnippetCache(step, period_ns=PERIOD_NS, fps=FPS)
    snippets = cache.take(window({"frame": live}, 0, cells * PERIOD_NS))
    seen = answered(snippets.features())
    assert snippets.empty == 0
    np.testing.assert_array_equal(rgb, seen["rgb"])

    samples = samples_of(video, RATE)
    length = round(PERIOD_NS / S * RATE)
    for cell in range(cells):
        heard = segment_power(samples[cell * length : (cell + 1) * length], RATE)
        near, far = power_to_db(heard)[2:30], mel[cell * 32 + 2 : cell * 32 + 30]
        loud = far > far.max() - 40
        assert np.abs(near - far)[loud].max() < 1.0, "but for the segments' borders"


def test_tsl_sets_are_whole_and_of_one_network(tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        (videos / part).mkdir(parents=True, exist_ok=True)
        write_video(videos / part / f"{name}.mkv", frames=40, fps=20, sound=_sweep(2.0))
    before = _Network.clips
    prepare_tsl(videos, out, CHEAP)
    assert _Network.clips == before + 6
    (out / "features/train/rgb/b.npy").unlink()
    prepare_tsl(videos, out, CHEAP)
    assert _Network.clips == before + 8, "only what is missing is made"
    assert (out / "split_train.txt").read_text().split() == ["a", "b"]
    assert json.loads((out / "fps_dict.json").read_text()) == {"a": 20.0, "b": 20.0, "c": 20.0}
    segments = [{"segment": ["0.1", "1.5"], "label": "p"}]
    truth = {
        name: {"subset": subset, "annotations": segments}
        for name, subset in (("a", "train"), ("b", "train"), ("c", "test"))
    }
    (out / "gt.json").write_text(json.dumps({"database": truth}))
    found = read_sentiments(out)
    assert [video.name for video in found.training] == ["a", "b"]
    assert found.training[0].features()[0].shape == (2, 1024)
    assert logmel.to_segments(np.load(out / "features/test/logmfcc/c.npy")).shape[0] == 2
    (out / "features/i3d.json").write_text(json.dumps({"sha256": "f" * 64}))
    with pytest.raises(UsageError, match="features of another I3D network"):
        prepare_tsl(videos, out, CHEAP)
    shutil.copy(videos / "train/a.mkv", videos / "test/a.mkv")
    with pytest.raises(SourceError, match="two videos called a"):
        prepare_tsl(videos, out, CHEAP)


def test_several_processes_make_tsl_sets_as_one_does(tmp_path: Path) -> None:
    videos, out, alone = tmp_path / "videos", tmp_path / "out", tmp_path / "alone"
    videos.mkdir()
    for name in ("a", "b", "c"):
        write_video(videos / f"{name}.mkv", frames=40, fps=20, sound=_sweep(2.0))
    stored = (videos / "b.mkv").read_bytes()
    (videos / "b.mkv").write_bytes(stored[: len(stored) // 50])
    with pytest.raises(SourceError, match=r"(?s)1 of 3 videos.*b: "):
        prepare_tsl(videos, out, CHEAP, jobs=2)
    assert not (out / "split_train.txt").exists()
    assert len(list(out.rglob("rgb/*.npy"))) == 2, "the others are made"
    left_out = prepare_tsl(videos, out, CHEAP, jobs=2, skip_corrupt=True)
    assert [fault.name for fault in left_out] == ["b"]
    assert (out / "split_train.txt").read_text().split() == ["a", "c"]
    prepare_tsl(videos, alone, CHEAP, skip_corrupt=True)
    assert _contents(out) == _contents(alone)


_WAITING = """
import os, signal, sys
from dataclasses import dataclass
from pathlib import Path
from trainers.data.prepare.pieces import make_all

@dataclass
class Waiting:
    name: str
    def done(self):
        return False
    def make(self):
        Path(sys.argv[1], self.name).write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}")
        signal.pause()

if __name__ == "__main__":
    make_all([Waiting(name) for name in "abcd"], "work", jobs=2)
"""


def test_helpers_share_the_cores_and_end_with_who_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would still write when the same command goes on."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    script, said = tmp_path / "script.py", tmp_path / "said"
    script.write_text(_WAITING)
    said.mkdir()
    command = [sys.executable, str(script), str(said)]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}) as process:
        while len(words := [w for f in said.iterdir() if (w := f.read_text())]) < 2:
            assert process.poll() is None
        helpers = [os.pidfd_open(int(text.split()[0])) for text in words]
        process.kill()
    for text, helper in zip(words, helpers, strict=True):
        assert text.split()[1] == str(max(1, len(os.sched_getaffinity(0)) // 2))
        assert select.select([helper], [], [], 30)[0], "it ended"
        os.close(helper)
    assert len(list(said.iterdir())) == 2, "no other work was begun"


def test_the_owners_files_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/1.mkv", frames=20, sound=_sweep(0.8))
    out = tmp_path / "tsl"
    out.mkdir()
    (out / "split_train.txt").write_text("5\n6\n")
    (out / "split_test.txt").write_text("1\n2\n")
    prepare_tsl(tmp_path / "videos", out, CHEAP, splits=out)
    assert (out / "features/test/rgb/1.npy").is_file()
    assert (out / "split_test.txt").read_text() == "1\n2\n"
    assert not (out / "fps_dict.json").exists()
    write_video(tmp_path / "videos/3.mkv", frames=20, sound=_sweep(0.8))
    with pytest.raises(SourceError, match="names no video 3"):
        prepare_tsl(tmp_path / "videos", out, CHEAP, splits=out)


def test_a_video_that_has_no_sound_is_no_tsl_video(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/mute.mkv", frames=20)
    with pytest.raises(SourceError, match=r"mute\.mkv: must have pictures and sound"):
        prepare_tsl(tmp_path / "videos", tmp_path / "out", CHEAP)


def test_walks_are_those_of_the_people_in_a_video(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/footage/one-by-one-person-detection.mp4"
    video = tmp_path / "videos/Sad/door.mkv"
    video.parent.mkdir(parents=True)
    _cut(source, video, first=480, count=70)  # somebody walks up to a table
    out = tmp_path / "walks"
    assert prepare_gaits(tmp_path / "videos", out) == []
    walks = read_walks(out)
    assert walks
    for walk in walks:
        assert walk.name.startswith("Sad/door#")
        assert (walk.label, walk.frame_rate_hz) == ("sad", 10.0)
        assert walk.joints.shape[0] >= 31
        assert 1.1 < body_height(walk.joints) < 2.0
        feet = walk.joints[:, joint_index("left_foot")] - walk.joints[:, joint_index("right_foot")]
        assert feet.std(0).max() > 0.05, "the feet swing"
    before = (out / "Sad/door.npz").stat().st_mtime_ns
    prepare_gaits(tmp_path / "videos", out)
    assert (out / "Sad/door.npz").stat().st_mtime_ns == before


def test_who_does_not_walk_makes_no_walk(tmp_path: Path) -> None:
    write_video(tmp_path / "nobody.mkv", frames=20)
    prepare_gaits(tmp_path / "nobody.mkv", tmp_path / "walks")
    assert read_walks(tmp_path / "walks") == []
    with pytest.raises(SourceError, match="there are no videos in it"):
        prepare_gaits(tmp_path / "walks", tmp_path / "out")


def _visible(images: Path) -> list[Path]:
    return [folder for folder in images.glob("*/*") if not folder.name.startswith(".")]


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def _cut(source: Path, target: Path, *, first: int, count: int) -> None:
    wanted = MediaWanted(lambda image: image, None, None)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 768, 432, "yuv420p"
        stream.bit_rate = 8_000_000
        samples = Medium(str(source), wanted).samples(Clock(), Counter())
        for number, sample in enumerate(samples):
            if first <= number < first + count:
                frame = av.VideoFrame.from_ndarray(sample.image, format="rgb24")  # type: ignore[union-attr]
                frame.pts, frame.time_base = number - first, Fraction(1, 10)
                container.mux(stream.encode(frame))
            elif number >= first + count:
                break
        samples.close()
        container.mux(stream.encode(None))
