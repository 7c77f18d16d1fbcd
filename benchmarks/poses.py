"""How many people the pose process finds, how often it is wrong, and what it costs.

    python benchmarks/poses.py FOOTAGE

FOOTAGE is a folder with one-by-one-person-detection.mp4 and asl_*.mkv from
intel-iot-devkit/sample-videos (CC BY 4.0). Who is there when was read off the pictures by eye.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose import PoseTracker
from jack_stream.capture.scene import FPS, Scene
from jack_stream.clock import NS_PER_S

Picture = tuple[int, NDArray[np.uint8]]

# First frame in which any part of each walker is in the picture, and last one.
WALKERS = ((60, 195), (227, 448), (502, 696), (745, 866), (921, 1198), (1235, 1358))
WIDTH = 640


def filmed(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            size = (WIDTH, round(WIDTH * image.shape[0] / image.shape[1]))
            at_ns = round(frame.pts * frame.time_base * NS_PER_S)
            yield at_ns, cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def count(pictures: Iterator[Picture]) -> tuple[list[list[int]], float]:
    """The numbers of the people per frame, and the median milliseconds per frame."""
    tracker = PoseTracker()
    found, took = [], []
    for at_ns, image in pictures:
        began = time.perf_counter()
        found.append([person.id for person in tracker.step(image, at_ns)])
        took.append(time.perf_counter() - began)
    tracker.close()
    return found, float(np.median(took)) * 1e3


def walkers(path: Path) -> None:
    found, took_ms = count(filmed(path))
    there = np.zeros(len(found), bool)
    for first, last in WALKERS:
        there[first : last + 1] = True
        numbers = {n for people in found[first : last + 1] for n in people}
        seen = [i for i in range(first, last + 1) if found[i]]
        print(f"  walker in frames {first}-{last}: found in {seen[0]}-{seen[-1]} as {numbers}")
    some = np.array([bool(people) for people in found])
    several = sum(len(people) > 1 for people in found)
    print(f"  someone there in {there.sum()} of {len(found)} frames")
    print(f"  found in {(some & there).sum()}, falsely in {(some & ~there).sum()}")
    print(f"  more than one in {several}; {took_ms:.0f} ms a frame")


def side_by_side(folder: Path, people: int) -> None:
    names = ("asl_hungry.mkv", "asl_sorry.mkv", "asl_walk.mkv", "asl_thanks.mkv")[:people]
    clips = [list(filmed(folder / name))[:48] for name in names]
    forth = [np.hstack([c[i][1][::2, 120:520:2] for c in clips]) for i in range(48)]
    frames = [*forth, *forth[::-1]]
    found, took_ms = count((n * NS_PER_S // 30, image) for n, image in enumerate(frames))
    counts = np.bincount([len(numbers) for numbers in found[48:]], minlength=people + 1)
    ids = {n for one in found for n in one}
    print(f"  {people} signers: counts in 2nd half {counts.tolist()} as {ids}; {took_ms:.0f} ms")


def drawn() -> None:
    scene = Scene()
    frames = ((n * NS_PER_S // FPS, scene.frame(n / FPS)) for n in range(round(48 * FPS)))
    found, took_ms = count(frames)
    numbers = {n for people in found for n in people}
    some = sum(bool(people) for people in found)
    print(f"  found in {some} of {len(found)} frames as {numbers}; {took_ms:.0f} ms")


def main() -> None:
    folder = Path(sys.argv[1])
    print("people who walk up to a table one by one")
    walkers(folder / "one-by-one-person-detection.mp4")
    print("signers side by side")
    for people in (1, 2, 3, 4):
        side_by_side(folder, people)
    print("the demo's scene")
    drawn()


if __name__ == "__main__":
    main()
