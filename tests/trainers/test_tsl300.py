import json
from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import JackError, SourceError
from tests.trainers.made_sentiments import FRAME_RATE_HZ, write_sentiments
from trainers.data.tsl300 import LABELS, Point, SentimentVideo, read_sentiments
from trainers.tsl_net.division import divide


@pytest.fixture
def made(tmp_path: Path) -> Path:
    write_sentiments(tmp_path, where="picture", videos=(6, 2), seed=0)
    return tmp_path


@pytest.mark.parametrize("name", ["1_a", "2_b", "9_c"])
def test_an_item_is_that_of_the_authors_loader(shared: Path, tmp_path: Path, name: str) -> None:
    facts = json.loads((shared / "golden/tsl_item.json").read_text())
    golden = np.load(shared / "golden/tsl_item.npz")
    rows, mel_rows = (facts["files"]["train"] | facts["files"]["test"])[name]
    rgb, mel = tmp_path / "rgb.npy", tmp_path / "mel.npy"
    np.save(rgb, np.arange(rows * 1024, dtype=np.float32).reshape(rows, 1024))
    np.save(mel, np.arange(mel_rows * 60, dtype=np.float32).reshape(mel_rows, 60))
    points = tuple(Point(i, frame) for _, i, video, frame in facts["points"] if video == name)
    item = SentimentVideo(name, rgb, mel, 25.0, points, ()).item()
    length = facts[name]["num_segments"]
    assert item.rgb.shape == (length, 1024)
    assert item.mel.shape == (length, 32, 60)
    np.testing.assert_allclose(item.mel[1, 0, :3], (np.arange(1920, 1923) + 50) / 80, rtol=1e-6)
    np.testing.assert_allclose(item.points, golden[f"{name}_point"], atol=1e-7)
    if name != "9_c":  # the test part has no shares of its own in training
        np.testing.assert_allclose(item.labels, golden[f"{name}_label"])
        np.testing.assert_allclose(item.distribution, golden[f"{name}_dist"], atol=1e-7)


def test_the_real_annotations_are_read(shared: Path, tmp_path: Path) -> None:
    for entry in (shared / "data/tsl300").iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    with pytest.raises(SourceError, match=r"300 videos can't be used(.|\n)*data prepare tsl"):
        read_sentiments(tmp_path)
    for subset in ("train", "test"):
        for name in (tmp_path / f"split_{subset}.txt").read_text().split():
            for kind, shape in (("rgb", (2, 1024)), ("logmfcc", (64, 60))):
                folder = tmp_path / "features" / subset / kind
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{name}.npy", np.zeros(shape, np.float16))
    found = read_sentiments(tmp_path)
    assert (len(found.training), len(found.test)) == (200, 100)
    assert all(video.points for video in found.training)
    labels = [s.label for video in found.training for s in video.segments]
    assert (labels.count(LABELS.index("p")), labels.count(LABELS.index("n"))) == (600, 458)
    assert "one of 3 annotators" in found.said
    other = read_sentiments(tmp_path, seed=1)
    assert [v.points for v in found.training] != [v.points for v in other.training]
    assert found.training == read_sentiments(tmp_path).training


def test_without_points_the_middle_of_each_segment_is_one(made: Path) -> None:
    for video in read_sentiments(made).training:
        frames = [(s.start_s + s.end_s) / 2 * FRAME_RATE_HZ for s in video.segments]
        assert [p.frame for p in video.points] == [int(frame) for frame in frames]
        assert [p.label for p in video.points] == [s.label for s in video.segments]


def test_the_digest_is_that_of_the_features_and_the_labels(made: Path) -> None:
    before = read_sentiments(made).digest()
    assert before == read_sentiments(made).digest()
    path = made / "features/train/rgb/train_0.npy"
    np.save(path, np.load(path) + 1)
    assert read_sentiments(made).digest() != before


def test_the_division_is_by_name_and_leaves_nothing_out(made: Path) -> None:
    videos = read_sentiments(made).training
    training, validation = divide(videos, 0.1)
    assert len(validation) == 1
    assert {v.name for v in training} | {v.name for v in validation} == {v.name for v in videos}
    assert divide(videos[::-1], 0.1)[1] == validation


RGB = Path("features/train/rgb/train_0.npy")


def _archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: (p / RGB).write_bytes(b"\x93NUMPY\x01\x00"), "can't be read as an array"),
        (lambda p: (p / RGB).write_bytes(b""), "can't be read as an array"),
        (lambda p: np.save(p / RGB, np.zeros((4, 7), np.float32)), r"not floating point \[rows"),
        (lambda p: np.save(p / RGB, np.zeros((4, 1024), np.int64)), "int64"),
        (lambda p: np.save(p / RGB, np.array([{}])), "can't be read as an array"),
        (lambda p: _archive(p / RGB), "an archive"),
        (lambda p: (p / RGB).unlink(), "train_0.npy"),
        (lambda p: (p / "fps_dict.json").write_text("{}"), "None frames per second"),
        (lambda p: (p / "fps_dict.json").write_text("[" * 100_000), "fps_dict.json"),
        (lambda p: (p / "gt.json").unlink(), "neither videosenti_gt.json nor gt.json"),
        (lambda p: (p / "gt.json").write_text('{"database": 3}'), "gt.json"),
        (lambda p: (p / "split_train.txt").write_text("../../etc/passwd"), "can't be the name"),
        (lambda p: (p / "split_train.txt").write_bytes(b"\xff\xfe"), "split_train.txt"),
    ],
)
def test_what_is_damaged_is_named(made: Path, damage: object, said: str) -> None:
    damage(made)  # type: ignore[operator]
    with pytest.raises(JackError, match=said):
        read_sentiments(made)


@pytest.mark.parametrize(
    "segment", [["nan", "3"], ["5", "2"], ["-1", "2"], ["1", "inf"], ["1", "x"], ["1"]]
)
def test_impossible_segments_are_refused(made: Path, segment: list[str]) -> None:
    truth = json.loads((made / "gt.json").read_text())
    truth["database"]["train_0"]["annotations"][0]["segment"] = segment
    (made / "gt.json").write_text(json.dumps(truth))
    with pytest.raises(JackError, match=r"gt\.json"):
        read_sentiments(made)


def test_values_that_are_not_finite_are_refused_when_read(made: Path) -> None:
    rows = np.load(made / RGB)
    rows[1, 1] = np.nan
    np.save(made / RGB, rows)
    video = next(v for v in read_sentiments(made).training if v.name == "train_0")
    with pytest.raises(SourceError, match="not finite"):
        video.item()


def test_damaged_videos_are_left_out_on_request(made: Path) -> None:
    (made / RGB).unlink()
    found = read_sentiments(made, skip_corrupt=True)
    assert len(found.training) == 5
    assert found.faults[0].startswith("train_0: ")


@pytest.mark.parametrize("row", ["x,0,1,2,train_0,5", "p,1,1,2,train_0,-4", "p,1,1,2,train_0,?"])
def test_points_that_are_none_are_refused(made: Path, row: str) -> None:
    path = made / "point_gaussian/train/point_anno_0.txt"
    path.parent.mkdir(parents=True)
    path.write_text(f"class,class_index,start_frame,stop_frame,video_id,point\n{row}\n")
    with pytest.raises(SourceError, match=r"point_anno_0\.txt: can't be read as labelled points"):
        read_sentiments(made)
