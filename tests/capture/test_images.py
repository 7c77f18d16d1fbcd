from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from jack_stream.capture.images import ImageFolder
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture
from jack_stream.errors import SourceError
from tests.capture.media_files import number_of, numbered_picture
from tests.capture.test_parts import ManualClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        image = np.ascontiguousarray(numbered_picture(number)[:, :, ::-1])
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), image)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def _read(folder: ImageFolder, count: int, counters: Counter[str]) -> list[Picture]:
    samples = list(islice(folder.samples(ManualClock(), counters), count))
    assert all(isinstance(sample, Picture) for sample in samples)
    return samples  # type: ignore[return-value]


def test_images_come_in_the_order_of_their_numbers(folder: Path) -> None:
    pictures = _read(ImageFolder(folder, Resizer(64), fps=10), 100, Counter())
    assert [number_of(picture.image) for picture in pictures] == list(range(12))
    assert [p.captured_at_ns - p.origin_ns for p in pictures] == [n * 10**8 for n in range(12)]
    assert {picture.source_size for picture in pictures} == {(128, 64)}


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[:, :, 2] = 255  # OpenCV writes blue first
    cv2.imwrite(str(tmp_path / "red.png"), red)
    (picture,) = _read(ImageFolder(tmp_path, Resizer(8)), 10, Counter())
    assert picture.image[0, 0].tolist() == [255, 0, 0]


def test_a_damaged_image_leaves_a_gap(folder: Path) -> None:
    (folder / "frame3.png").write_bytes(b"nothing that decodes")
    (folder / "frame4.png").write_bytes(b"")
    counters: Counter[str] = Counter()
    pictures = _read(ImageFolder(folder, Resizer(64), fps=10), 100, counters)
    assert counters["corrupt_frames"] == 2
    assert [number_of(picture.image) for picture in pictures] == [0, 1, 2, *range(5, 12)]
    assert (pictures[3].captured_at_ns - pictures[2].captured_at_ns) / 1e9 == pytest.approx(0.3)


def test_loops_go_on(folder: Path) -> None:
    pictures = _read(ImageFolder(folder, Resizer(64), fps=10, loop=True), 30, Counter())
    assert [number_of(picture.image) for picture in pictures] == [n % 12 for n in range(30)]
    assert [n for n, picture in enumerate(pictures) if picture.discontinuity] == [12, 24]
    assert set(np.diff([picture.captured_at_ns for picture in pictures])) == {10**8}


def test_folders_without_readable_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no images") as caught:
        _read(ImageFolder(tmp_path, Resizer(64)), 1, Counter())
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(SourceError, match="none of the 1 images"):
        _read(ImageFolder(tmp_path, Resizer(64)), 1, Counter())


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4), 0x8000, np.uint16))
    (picture,) = _read(ImageFolder(tmp_path, Resizer(4)), 10, Counter())
    assert np.unique(picture.image).tolist() == [128]


def test_a_length_that_lies_costs_no_time(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 4, 3), np.uint8))
    data = bytearray((tmp_path / "1.png").read_bytes())
    place = data.index(b"IDAT")
    data[place - 4 : place] = (2**31 - 1).to_bytes(4, "big")
    (tmp_path / "2.png").write_bytes(data)
    began_s = time.perf_counter()
    _read(ImageFolder(tmp_path, Resizer(4)), 10, Counter())
    assert time.perf_counter() - began_s < 1
