"""Sets of sounds in the owners' layouts and as plain folders, and the division of speakers."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import SourceError, UsageError
from tests.trainers.made_voices import write_sound
from trainers.data.sounds import Recording, SoundSet, find_sounds, read_sounds, speaker_folds

TONE = 0.1 * np.sin(np.arange(800) / 3)


def _sounds(folder: Path, *names: str) -> Path:
    for name in names:
        write_sound(folder / name, TONE)
    return folder


def test_ravdess_is_known_by_its_names(tmp_path: Path) -> None:
    found = read_sounds(
        _sounds(
            tmp_path,
            "Actor_01/03-01-05-01-02-01-01.wav",
            "Actor_24/03-01-01-01-02-01-24.wav",
            "Actor_24/03-02-01-01-02-01-24.wav",  # sung
        )
    )
    assert found.name == "RAVDESS"
    assert [(r.label, r.speaker) for r in found.recordings] == [
        ("neutral", "ravdess/24"),
        ("angry", "ravdess/01"),
    ]


def test_emodb_is_known_by_its_names(tmp_path: Path) -> None:
    found = read_sounds(_sounds(tmp_path, "wav/03a01Wa.wav", "wav/16b10Lb.wav", "wav/notes.wav"))
    assert found.labels == ("angry", "bored")
    assert found.speakers == ("emodb/03", "emodb/16")


def test_both_corpora_call_the_same_the_same(shared: Path) -> None:
    ravdess = read_sounds(shared / "data" / "ravdess")
    emodb = read_sounds(shared / "data" / "emodb")
    assert (len(ravdess.recordings), len(ravdess.speakers), len(ravdess.labels)) == (1200, 20, 8)
    assert (len(emodb.recordings), len(emodb.speakers), len(emodb.labels)) == (431, 8, 7)
    assert len(set(ravdess.labels) & set(emodb.labels)) == 6
    with (shared / "data" / "emodb" / "labels.csv").open() as file:
        owners = {row["file"]: row["emotion"] for row in csv.DictReader(file)}
    pairs = {(owners[r.path.name], r.label) for r in emodb.recordings}
    assert len(pairs) == 7


def test_a_table_names_files_classes_speakers_and_parts(tmp_path: Path) -> None:
    _sounds(tmp_path, "a.wav", "deep/b.wav")
    text = "file,label,speaker,split\na.wav,calm,Ann,training\ndeep/b.wav,my own,,test\n"
    (tmp_path / "list.csv").write_text(text)
    found = read_sounds(tmp_path)
    first, second = found.recordings
    assert (first.label, first.speaker, first.split) == ("calm", f"{tmp_path.name}/Ann", "training")
    assert (second.label, second.speaker, second.split) == ("my own", "", "test")
    assert found.labels == ("calm", "my own")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file,class\na.wav,x\n", "header"),
        ("file,label\n", "one row"),
        ("file,label\na.wav,\n", "row 2: label"),
        ("file,label\na.wav,x\na.wav,y\n", "2 times"),
        ("file,label,split\na.wav,x,train\n", "split is 'train'"),
        ("file,label\n../a.wav,x\n", "not in the table's folder"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, text: str, named: str) -> None:
    _sounds(tmp_path, "a.wav")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SourceError, match=named):
        read_sounds(tmp_path)


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_CELL, _CELL, _CELL), min_size=1, max_size=5))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("set")
    text = io.StringIO()
    csv.writer(text).writerows([("file", "label", "speaker"), *rows])
    (folder / "list.csv").write_text(text.getvalue(), encoding="utf-8")
    try:
        found = find_sounds(folder)
    except SourceError as error:
        said = str(error)
    else:
        said = "list.csv"
        assert len(found.faults) == len(rows)  # none of the files is there
    assert "list.csv" in said


def test_damaged_recordings_are_left_out_only_when_told(tmp_path: Path) -> None:
    _sounds(tmp_path, "03a01Wa.wav")
    (tmp_path / "03a02Wa.wav").write_bytes(b"RIFF and nothing else")
    with pytest.raises(SourceError, match="03a02Wa"):
        read_sounds(tmp_path)
    found = read_sounds(tmp_path, skip_corrupt=True)
    assert [r.name for r in found.recordings] == ["03a01Wa"]
    assert len(found.faults) == 1


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", _sounds(tmp_path, "voice.wav")):
        with pytest.raises(SourceError):
            read_sounds(folder)


def _set(name: str, speakers: int) -> SoundSet:
    return SoundSet(
        name,
        tuple(
            Recording(f"{s}-{i}", "happy", f"{name}/{s}", Path("x.wav"))
            for s in range(speakers)
            for i in range(2)
        ),
    )


@settings(deadline=None)
@given(st.integers(2, 9), st.integers(0, 20), st.integers(0, 20))
def test_every_speaker_is_held_out_exactly_once(folds: int, more: int, others: int) -> None:
    sets = [_set("a", folds + more), _set("b", folds + others)]
    parts = speaker_folds(sets, folds)
    assert len(parts) == folds
    everyone = [speaker for part in parts for speaker in part]
    assert sorted(everyone) == sorted(s for one in sets for s in one.speakers)
    assert len(speaker_folds(sets, 0)) == len(everyone)


def test_without_speakers_nothing_is_evaluated_by_speaker() -> None:
    nobody = SoundSet("n", (Recording("r", "happy", "", Path("x.wav")),))
    with pytest.raises(UsageError, match="have no speaker"):
        speaker_folds([nobody], 2)
    with pytest.raises(UsageError, match="can't make 4 folds"):
        speaker_folds([_set("a", 3)], 4)
