"""Key frames are the surest moments, from the right place of the film, with faces blurred."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.errors import SourceError
from jack_stream.view.faces import FaceBlur
from jack_stream.view.keyframes import choose, take
from tests.events.making import event

FPS = 10


def _film(path: Path, seconds: int) -> None:
    """Every second is brighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height = 96, 64
        for number in range(seconds * FPS):
            image = np.full((64, 96, 3), 20 * (number // FPS), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def _brightness(jpeg: bytes) -> float:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return float(image.mean())


def test_the_surest_whole_window_of_each_label_is_chosen() -> None:
    events = [
        event(0, start_s=0.0, label="sad", confidence=0.9, degraded=("frame",)),
        event(1, start_s=1.0, label="sad", confidence=0.5),
        event(2, start_s=2.0, label="sad", confidence=0.6),
        event(3, start_s=3.0, label="happy", confidence=0.3, person=2),
    ]
    moments = choose(reversed(events))
    assert [(m.event.seq, m.at_s, m.who.person) for m in moments] == [(2, 3.0, 1), (3, 4.0, 2)]


def test_the_picture_is_that_of_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    _film(path, 10)
    moments = choose(
        [
            event(0, start_s=1.5, label="sad"),  # the middle of its two seconds: 2.5 s
            event(1, start_s=6.5, label="happy"),
        ]
    )
    frames = take(path, moments, np.copy)
    assert [_brightness(frame.jpeg) for frame in frames] == pytest.approx([40, 140], abs=6)


def test_moments_behind_the_end_have_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    _film(path, 2)
    assert take(path, choose([event(0, start_s=50.0)]), np.copy) == []


def test_a_file_that_is_no_film_is_named(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film at all")
    with pytest.raises(SourceError, match=r"film\.mp4"):
        take(path, choose([event()]), np.copy)


def _detail(image: NDArray[np.uint8]) -> float:
    """How much neighbours differ: what blurring takes away."""
    return float(np.abs(np.diff(image.astype(np.int16), axis=1)).mean())


def test_a_real_face_becomes_unrecognisable_and_the_rest_stays(shared: Path) -> None:
    with av.open(str(shared / "data" / "footage" / "pyfeat_single_face.mp4")) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    image = cv2.resize(image, (480, round(480 * image.shape[0] / image.shape[1])))
    with FaceBlur() as blur:
        blurred = blur(image)
        again = blur(blurred)
    changed = (image != blurred).any(axis=2)
    assert 0.01 < changed.mean() < 0.5
    rows, columns = np.nonzero(changed)
    region = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert _detail(blurred[region]) < 0.5 * _detail(image[region])
    assert (again == blurred).mean() > 0.98  # no face is left to be found
