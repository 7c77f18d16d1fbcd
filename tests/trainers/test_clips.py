"""Data sets of videos: what is read is what is there, and what is wrong is named."""

import json
import random
import shutil
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jack_stream.errors import SourceError
from jack_stream.features.fbank import Fbank, normalise, select_segments
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import centre_view, to_clip
from tests.features.reference import frame_image, sound
from tests.trainers.made_clips import FRAMES, LABELS, RATE, write_clips
from trainers.data.annotated import read_annotation
from trainers.data.class_folders import read_splits
from trainers.data.clip import Clip, content_digest, hold_out
from trainers.data.clips import find_clips, read_clips, read_frames, read_sound, sound_rate


@pytest.mark.parametrize("layout", ["folders", "annotated"])
def test_both_layouts_say_the_same(tmp_path: Path, layout: str) -> None:
    clips = read_clips(write_clips(tmp_path, clips=12, layout=layout))  # type: ignore[arg-type]
    assert clips.labels == LABELS
    assert clips.counts() == {
        "training": {"Anger": 4, "Joy": 4},
        "validation": {"Anger": 2, "Joy": 2},
    }
    clip = next(clip for clip in clips.training if clip.name.endswith("0001"))
    assert (clip.label, clip.n_frames) == (1, FRAMES)
    pictures = read_frames(clip, [0, FRAMES - 1, 0])
    assert pictures.shape == (3, 48, 64, 3)
    np.testing.assert_array_equal(pictures[0], pictures[2])
    red, _, blue = pictures[0].astype(int).reshape(-1, 3).max(0)
    assert red > 180 > blue, "Joy is a red disc"
    assert sound_rate(clip.sound or Path()) == RATE
    assert len(read_sound(clip, 8000)) == 8000 * FRAMES // 12


def test_where_the_class_is_can_be_chosen(tmp_path: Path) -> None:
    for where in ("picture", "sound", "both"):
        clips = read_clips(write_clips(tmp_path / where, where=where, clips=12))
        for part in (clips.training, clips.validation):
            told = {"red": Counter[int](), "high": Counter[int]()}
            for clip in part:
                image = read_frames(clip, [5])[0].astype(int).reshape(-1, 3).max(0)
                spectrum = np.abs(np.fft.rfft(read_sound(clip, 16000)))
                told["red"][clip.label ^ int(image[0] > image[2])] += 1
                high = spectrum.argmax() / len(spectrum) * 8000 > 1000
                told["high"][clip.label ^ int(high)] += 1
            even, certain = [len(part) // 2] * 2, [len(part)]
            assert sorted(told["red"].values()) == (certain if where == "picture" else even)
            assert sorted(told["high"].values()) == (certain if where == "sound" else even)


def test_a_whole_item_is_the_authors(shared: Path, tmp_path: Path) -> None:
    videos = {"v_short": ("Fear", 40, 160, 120), "v_long": ("Trust", 300, 91, 160)}
    for video, (label, count, width, height) in videos.items():
        folder = tmp_path / "imgs" / label / video
        folder.mkdir(parents=True)
        for number in range(1, count + 1):
            with (folder / f"{number:06d}.jpg").open("wb") as file:  # lossless, whatever its name
                Image.fromarray(frame_image(number, width, height)).save(file, "png")
    _write_wav(tmp_path / "mp3/Trust/v_long.wav", sound("ve8/long", 16000, 18), 16000)
    labels = json.loads((shared / "data/annotations/ve8_01.json").read_text())["labels"]
    _annotate(
        tmp_path, labels, {"v_short": ("Fear", "training"), "v_long": ("Trust", "validation")}
    )
    found = read_clips(tmp_path)
    golden = np.load(shared / "golden/ve8_item.npz")
    stated = json.loads((shared / "golden/ve8_item.json").read_text())
    for clip in (*found.training, *found.validation):
        item = f"cten_val_{clip.name}"
        runs = sample_snippets(range(clip.n_frames), 16)
        np.testing.assert_array_equal(runs + 1, stated[item]["frames"])
        assert clip.label == stated[item]["target"]
        clips = np.stack([to_clip(read_frames(clip, run), centre_view) for run in runs])
        np.testing.assert_array_equal(clips[:, :, ::5, ::16, ::16], golden[f"{item}_slice"])
    (clip,) = found.validation
    bands = Fbank(16000).whole(read_sound(clip, sound_rate(clip.sound or Path())))
    audio = normalise(select_segments(bands, rng=random.Random(3)))
    expected = golden["cten_val_v_long_audio_slice"]
    np.testing.assert_allclose(audio[::41, ::4], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "classes", "training", "validation"),
    [("ve8_01", 8, 731, 367), ("ve8_04", 8, 863, 219), ("ek6_01", 6, 819, 818)],
)
def test_the_owners_annotations(
    shared: Path, name: str, classes: int, training: int, validation: int
) -> None:
    annotation = read_annotation(shared / f"data/annotations/{name}.json")
    assert len(annotation.labels) == classes
    counts = Counter(subset for _, subset in annotation.entries.values())
    assert counts == {"training": training, "validation": validation}
    if name.startswith("ve8"):
        assert annotation.labels[3] == "Fear"


def test_what_is_missing_is_listed_and_left_out_only_on_request(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    shutil.rmtree(tmp_path / "imgs/Anger/0000")
    (tmp_path / "imgs/Joy/0001/000007.jpg").unlink()
    (tmp_path / "imgs/Anger/0002/n_frames").write_text("23")
    (tmp_path / "mp3/Joy/0003.wav").unlink()
    for number in range(1, 10):
        (tmp_path / f"imgs/Anger/0004/{number:06d}.jpg").unlink()
    with pytest.raises(SourceError, match=r"4 items can't be used:\n.*0000: there is no folder"):
        read_clips(tmp_path)
    found = read_clips(tmp_path, skip_corrupt=True)
    assert [fault.name for fault in found.faults] == ["0000", "0001", "0002", "0004"]
    assert len(found.training) + len(found.validation) == 8
    (silent,) = (clip for clip in found.training if clip.sound is None)
    with pytest.raises(SourceError, match="0003: has no sound"):
        read_sound(silent, 16000)


def test_classes_are_found_whatever_their_capitals_and_the_folders_names(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    (tmp_path / "imgs/Joy").rename(tmp_path / "imgs/joy")
    (tmp_path / "mp3/Joy").rename(tmp_path / "mp3/JOY")
    (tmp_path / "imgs").rename(tmp_path / "VideoEmotion8--imgs")
    (tmp_path / "mp3").rename(tmp_path / "VideoEmotion8--mp3")
    clips = read_clips(tmp_path)
    assert all(clip.sound for clip in clips.training)
    assert len(clips.training) == 8


def test_pictures_without_an_annotation_are_divided_here(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=24, layout="annotated")
    (tmp_path / "made.json").unlink()
    (tmp_path / "srt/Joy").mkdir(parents=True)
    (tmp_path / "srt/Joy/0001.srt").write_text("")
    clips = read_clips(tmp_path)
    assert clips.counts()["validation"] == {"Anger": 2, "Joy": 2}
    assert "20% of every class" in clips.split
    every = clips.training + clips.validation
    assert [clip.name for clip in every if clip.subtitles] == ["Joy/0001"]


def test_of_several_annotations_one_must_be_named(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12, layout="annotated")
    shutil.copy(tmp_path / "made.json", tmp_path / "other.json")
    with pytest.raises(SourceError, match="has 2 annotations"):
        read_clips(tmp_path)
    assert len(read_clips(tmp_path / "other.json").training) == 8


def test_plain_folders_are_held_out_by_class_and_seed(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12)
    for part in ("train", "val"):
        for video in (tmp_path / part).rglob("*.mkv"):
            (tmp_path / "own" / video.parent.name).mkdir(parents=True, exist_ok=True)
            video.rename(tmp_path / "own" / video.parent.name / video.name)
    clips = read_clips(tmp_path / "own")
    assert clips.counts() == {
        "training": {"Anger": 5, "Joy": 5},
        "validation": {"Anger": 1, "Joy": 1},
    }
    assert clips == read_clips(tmp_path / "own")
    lines = [f"{clip.name}.mkv,train" for clip in clips.training]
    lines += [f"{clip.name},test" for clip in clips.validation]
    (tmp_path / "own/splits.csv").write_text("\n".join(["clip,subset", *lines]))
    again = read_clips(tmp_path / "own")
    assert again.test == clips.validation
    assert again.split.startswith("as in splits.csv; no validation part is given")
    (tmp_path / "own/splits.csv").write_text("\n".join(["clip,subset", *lines[1:]]))
    with pytest.raises(SourceError, match=r"splits\.csv: does not name Anger/00"):
        read_clips(tmp_path / "own")


def test_a_hold_out_is_stratified_and_depends_on_nothing_but_names_and_seed() -> None:
    clips = [
        Clip(f"{label}/{i}", label, Path(), None, 16, None)
        for label, count in ((0, 50), (1, 10), (2, 2), (3, 1))
        for i in range(count)
    ]
    split = hold_out(clips, seed=3)
    assert Counter(clip.label for clip in split.validation) == {0: 10, 1: 2, 2: 1}
    shuffled = random.Random(0).sample(clips, len(clips))
    assert set(hold_out(shuffled, seed=3).validation) == set(split.validation)
    assert set(hold_out(clips, seed=4).validation) != set(split.validation)


def test_sound_beside_a_video_comes_before_its_own(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12)
    video = next((tmp_path / "train/Joy").glob("*.mkv"))
    _write_wav(video.with_suffix(".wav"), np.zeros((1, 4000)), 8000)
    clip = next(c for c in read_clips(tmp_path).training if c.frames == video)
    assert clip.sound == video.with_suffix(".wav")
    assert np.abs(read_sound(clip, 8000)).max() == 0


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    write_clips(tmp_path, clips=12)
    (tmp_path / "train/Joy/torn.mp4").write_bytes(b"\0\0\0\x18ftypmp42 torn")
    with pytest.raises(SourceError, match=r"train/Joy/torn\.mp4"):
        read_clips(tmp_path)
    assert len(read_clips(tmp_path, skip_corrupt=True).training) == 8


def test_pictures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    clips = read_clips(write_clips(tmp_path, clips=12))
    for indices in ([FRAMES], [-1], []):
        with pytest.raises(SourceError, match="it has 24"):
            read_frames(clips.training[0], indices)
    longer = Clip("x", 0, clips.training[0].frames, None, 99, 12.0)
    with pytest.raises(SourceError, match="ends after 24 pictures; 31 were asked for"):
        read_frames(longer, [30])


def test_a_digest_follows_what_is_seen_and_heard_alone(tmp_path: Path) -> None:
    first = read_clips(write_clips(tmp_path / "a", clips=12, layout="annotated"))
    second = read_clips(write_clips(tmp_path / "b", clips=12, layout="annotated"))
    assert first.digest() == second.digest()
    other = read_clips(write_clips(tmp_path / "c", clips=12, seed=1, layout="annotated"))
    assert first.digest() != other.digest()
    picture = tmp_path / "b/imgs/Joy/0001/000001.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")
    content_digest.cache_clear()
    assert first.digest() != second.digest()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "Expected `object`"),
        ('{"labels": ["a"]}', "database"),
        ('{"labels": ["a", "a"], "database": {}}', "labels"),
        ('{"labels": ["../a"], "database": {}}', r"labels\[0\]"),
        ('{"labels": ["\\u001b[2J"], "database": {}}', r"labels\[0\]: '\\x1b"),
        ('{"labels": ["a"], "split": "\\u001b[2J", "database": {}}', "split: "),
        ('{"labels": ["a"], "database": {"../../x": {}}}', "database.'../../x'"),
        ('{"labels": ["a"], "database": {"x": {"subset": "training"}}}', "database.'x': .*annot"),
        (
            '{"labels": ["a"], "database": {"x": {"subset": "no", "annotations": {"label": "a"}}}}',
            r"database.'x'.subset: 'no' is none of training",
        ),
        (
            '{"labels": ["a"], "database": {"x": {"subset": "test", "annotations": {"label": 1}}}}',
            r"database.'x': .*label",
        ),
        (
            '{"labels": ["a"], "database": {"x": {"subset": "test", "annotations":{"label":"b"}}}}',
            r"database.'x'.annotations.label: 'b' is not in labels",
        ),
        ('{"labels": ["a"], "labels": ["b"], "database": {}}', "'labels' is there twice"),
        ("[" * 100_000, "can't be read as an annotation"),
    ],
)
def test_a_wrong_annotation_is_named_with_its_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "ve8.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"(?s)ve8\.json: .*{complaint}"):
        read_annotation(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
_ENTRY = st.fixed_dictionaries(
    {}, optional={"subset": st.sampled_from(["training", "test"]) | _JSON, "annotations": _JSON}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary()
    | st.fixed_dictionaries(
        {"labels": st.lists(st.text(max_size=4), max_size=3) | _JSON},
        optional={"database": st.dictionaries(st.text(), _ENTRY | _JSON) | _JSON},
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_annotation_is_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "made.json"
    path.write_bytes(content)
    (tmp_path / "imgs").mkdir(exist_ok=True)
    complaint = _complaint(lambda: find_clips(path))
    assert not complaint or b"made.json" in complaint.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary()
    | st.lists(st.lists(st.text(max_size=5) | st.sampled_from(["train", "a/b"]), max_size=3)).map(
        lambda rows: "\n".join(["clip,subset", *map(",".join, rows)]).encode("utf-8", "replace")
    )
)
def test_no_splits_are_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "splits.csv"
    path.write_bytes(content)
    complaint = _complaint(lambda: read_splits(path))
    assert not complaint or b"splits.csv" in complaint.encode()


def test_a_wrong_line_of_the_splits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    for text, complaint in (
        ("name,part\n", "must name the columns clip,subset"),
        ("clip,subset\na/b,train\na/c,none\n", "line 3: subset: 'none'"),
        ("clip,subset\na/b.mp4,train\na/b,test\n", "line 3: clip: 'a/b'"),
    ):
        path.write_text(text)
        with pytest.raises(SourceError, match=complaint):
            read_splits(path)


def test_what_is_no_data_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no data set of videos"):
        read_clips(tmp_path)
    with pytest.raises(SourceError, match="no such file or folder"):
        read_clips(tmp_path / "nothing")


def _complaint(read: Callable[[], object]) -> str:
    try:
        read()
    except SourceError as error:
        return str(error)
    return ""


def _write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.T * 32768).astype(np.int16).tobytes())


def _annotate(root: Path, labels: list[str], videos: dict[str, tuple[str, str]]) -> None:
    database = {
        name: {"subset": subset, "annotations": {"label": label}}
        for name, (label, subset) in videos.items()
    }
    (root / "made.json").write_text(json.dumps({"labels": labels, "database": database}))
