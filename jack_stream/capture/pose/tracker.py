"""Everyone in a stream of frames, each with a pose and a number that stays.

The pose network follows one person per instance. So every person followed has an instance, which
is shown the picture with the other people painted out; one spare instance looks for someone new,
where a face or movement is that belongs to nobody, or in the whole picture now and then. What it
finds counts as a person once it has been plausible (`plausibility`) for a while and has lived,
that is, moved: furniture never does. A person who has lived may stand as still as they like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose.detector import FaceDetector, LandmarkDetector
from jack_stream.capture.pose.identities import Identities, Sighting
from jack_stream.capture.pose.landmarks import HEAD, HIPS, SHOULDERS, Box, Landmarks
from jack_stream.capture.pose.plausibility import (
    Thresholds,
    certainty,
    implausible,
    trunk_length,
)
from jack_stream.capture.pose.regions import Motion, body_below
from jack_stream.clock import NS_PER_S

__all__ = ["Person", "PoseTracker"]

Image = NDArray[np.uint8]
_GREY = 127
_NOWHERE = Box(0.0, 0.0, 0.0, 0.0)
_LOOK_EVERY_S = 0.2
_WHOLE_EVERY_S = 1.0
_GLANCE_S = 0.11  # two frames at 10 fps
_SURPRISE_S = 0.2
_STEADY_S = 0.6
_TRUNK = [*SHOULDERS, *HIPS]
_SAME_TRUNK = 0.2  # of a trunk's length: what two instances report of one person differs less
_SAME = 0.6  # boxes that share this part of the smaller one hold the same person


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A person in one frame.

    Attributes:
        id: the same number in every frame as long as this person is tracked, from 1.
        score: how well the core of the body is seen, 0 to 1.
        landmarks: where the joints are.
    """

    id: int
    score: float
    landmarks: Landmarks


@dataclass(slots=True, eq=False)
class _Slot:
    """An instance of the network at work on one person, or on what may become one."""

    detector: LandmarkDetector
    region: Box
    """Where to look until something is found there."""
    landmarks: Landmarks | None = None
    box: Box = _NOWHERE
    """Around the landmarks last seen; empty as long as there were none."""
    trunk: float = 0.0
    plausible_s: float = 0.0
    missing_s: float = 0.0
    life_s: float = 0.0
    place: NDArray[np.float64] | None = None
    velocity: NDArray[np.float64] | float = 0.0
    surprise: float = 0.0
    """How far the last places were from where the movement before would have led."""

    def move(self, place: NDArray[np.float64], passed_s: float) -> None:
        """Take note of where the person followed is now."""
        if self.place is not None and passed_s > 0:
            step = place - self.place
            astray = float(np.linalg.norm(step - self.velocity * passed_s))
            self.surprise += (astray - self.surprise) * min(passed_s / _SURPRISE_S, 1.0)
            steady = min(passed_s / _STEADY_S, 1.0)
            self.velocity = self.velocity + (step / passed_s - self.velocity) * steady
        self.place = place

    @property
    def area(self) -> Box:
        """Where the body is: the landmarks stop at the eyes, the wrists and the skin."""
        box = self.box.grown(0.1)
        return box._replace(top=box.top - 0.45 * self.trunk)

    def given_up(self, thresholds: Thresholds) -> bool:
        """Whether it has looked in vain for too long."""
        return self.missing_s > (thresholds.patience_s if self.box.area else _GLANCE_S)

    def counts(self, thresholds: Thresholds) -> bool:
        """Whether this has proven to be a person."""
        return self.life_s >= thresholds.life_s and self.plausible_s >= thresholds.persistence_s


class PoseTracker:
    """Follows up to ``max_persons`` people through one stream's frames.

    State is per object; the same frames at the same times give the same people. docs/pose.md says
    how many people it really tells apart, how often it is wrong, and what it costs.

    Args:
        max_persons: the most people followed at once; each costs one run of the network a frame.
        min_detection: least score of MediaPipe's person detector, 0 to 1.
        min_tracking: least presence score for following on, 0 to 1.
        thresholds: what counts as a person.
    """

    def __init__(
        self,
        max_persons: int = 4,
        *,
        min_detection: float = 0.5,
        min_tracking: float = 0.5,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._max = max_persons
        self._limits = (min_detection, min_tracking)
        self._thresholds = thresholds or Thresholds()
        self._faces = FaceDetector()
        self._spare: list[LandmarkDetector] = [LandmarkDetector(*self._limits)]
        self._motion = Motion()
        self._slots: list[_Slot] = []
        self._identities = Identities()
        self._last_ns: int | None = None
        self._looked_ns = 0
        self._searched_ns = 0

    def step(self, image: Image, at_ns: int) -> list[Person]:
        """The people in the next frame.

        Args:
            image: RGB uint8 ``[H, W, 3]``.
            at_ns: when it was captured; what lies before the last frame starts all over.

        Returns:
            those seen in this frame, by their numbers.
        """
        if self._last_ns is not None and at_ns < self._last_ns:
            self._start_over()
        passed_s = 0.0 if self._last_ns is None else (at_ns - self._last_ns) / NS_PER_S
        self._last_ns = at_ns
        self._motion.update(image, at_ns)
        for slot in self._slots:
            self._follow(slot, image, passed_s)
        self._release([slot for slot in self._slots if slot.given_up(self._thresholds)])
        self._release(_doubles(self._slots, self._thresholds, image.shape[1], image.shape[0]))
        self._look(image, at_ns)
        return self._people(passed_s, width=image.shape[1], height=image.shape[0])

    def close(self) -> None:
        """Release the networks."""
        self._release(self._slots)
        for detector in self._spare:
            detector.close()
        self._faces.close()

    def _follow(self, slot: _Slot, image: Image, passed_s: float) -> None:
        height, width = image.shape[:2]
        found = slot.detector.detect(self._view(slot, image))
        if found is None or implausible(found, width, height, self._thresholds):
            slot.landmarks = None
            slot.missing_s += passed_s
            return
        slot.landmarks = found
        slot.missing_s = 0.0
        slot.plausible_s += passed_s
        slot.box = found.box(width, height, self._thresholds.min_visibility)
        slot.trunk = trunk_length(found, width, height)
        slot.move(_place(found, width, height), passed_s)
        if self._motion.share(slot.box) >= self._thresholds.min_life and not self._shaded(slot):
            slot.life_s += passed_s

    def _shaded(self, slot: _Slot) -> bool:
        """Whether what moves there may be someone else who passes."""
        around = slot.box.grown(0.3)
        return any(
            other.area.shared(around) > 0
            for other in self._slots
            if other is not slot and other.counts(self._thresholds)
        )

    def _view(self, slot: _Slot, image: Image) -> Image:
        """The picture with the other people painted out; for a newcomer only the region."""
        height, width = image.shape[:2]
        if not slot.box.area:
            view = np.full_like(image, _GREY)
            inside = slot.region.slices(height, width)
            view[inside] = image[inside]
        else:
            view = image.copy()
        for other in self._slots:
            if other is not slot and other.box.area and other.counts(self._thresholds):
                view[other.area.slices(height, width)] = _GREY
        if slot.box.area:
            mine = slot.area.slices(height, width)
            view[mine] = image[mine]
        return view

    def _look(self, image: Image, at_ns: int) -> None:
        """Set a spare instance on someone who is not followed yet, if there seems to be one."""
        if at_ns - self._looked_ns < _LOOK_EVERY_S * NS_PER_S:
            return
        self._looked_ns = at_ns
        height, width = image.shape[:2]
        places = [body_below(face) for face in self._faces.detect(image)] + self._motion.boxes()
        free = [place for place in places if not self._covered(place)]
        if not free:
            if at_ns - self._searched_ns < _WHOLE_EVERY_S * NS_PER_S:
                return
            self._searched_ns = at_ns
            free = [Box(0.0, 0.0, float(width), float(height))]
        if len(self._slots) >= self._max:
            self._release([s for s in self._slots if not s.counts(self._thresholds)][:1])
        if len(self._slots) < self._max:
            detector = self._spare.pop() if self._spare else LandmarkDetector(*self._limits)
            self._slots.append(_Slot(detector, free[0]))

    def _covered(self, place: Box) -> bool:
        """Whether someone followed, or a place looked at already, explains what is there."""
        for slot in self._slots:
            area = slot.area.grown(0.1) if slot.box.area else slot.region
            if place.shared(area) > 0.3 * min(place.area, area.area):
                return True
        return False

    def _people(self, passed_s: float, *, width: int, height: int) -> list[Person]:
        found = [
            (slot, slot.landmarks)
            for slot in self._slots
            if slot.landmarks and slot.counts(self._thresholds)
        ]
        sightings = [Sighting(_place(seen, width, height), slot) for slot, seen in found]
        numbers = self._identities.assign(sightings, passed_s)
        people = [
            Person(number, certainty(seen), seen)
            for number, (_, seen) in zip(numbers, found, strict=True)
            if number is not None
        ]
        return sorted(people, key=lambda person: person.id)

    def _release(self, slots: list[_Slot]) -> None:
        for slot in dict.fromkeys(slots):
            slot.detector.forget()
            self._spare.append(slot.detector)
        self._slots = [slot for slot in self._slots if slot not in slots]

    def _start_over(self) -> None:
        self._release(self._slots)
        self._motion = Motion()
        self._identities = Identities()
        self._looked_ns = 0
        self._searched_ns = 0


def _place(landmarks: Landmarks, width: int, height: int) -> NDArray[np.float64]:
    """Where someone is, ``[1, 2]`` in picture heights: between the shoulders, or else the head.

    Unlike the box of what is seen, this does not jump when someone comes into the picture.
    """
    points = landmarks.pixels(width, height)
    shoulders = landmarks.keypoints[list(SHOULDERS), 3] > 0
    middle = points[list(SHOULDERS)] if shoulders.all() else points[HEAD]
    return np.asarray(middle.mean(axis=0)[None] / height, np.float64)


def _doubles(slots: list[_Slot], thresholds: Thresholds, width: int, height: int) -> list[_Slot]:
    """The slots that found someone whom another slot follows.

    Where two people pass each other, one instance may change over to the other person. That is the
    one whose course changed. A newcomer, though, must keep clear of those who are known.
    """
    doubles: list[_Slot] = []
    for i, slot in enumerate(slots):
        for older in slots[:i]:
            if not (slot.landmarks and older.landmarks):
                continue
            if slot.counts(thresholds) and older.counts(thresholds):
                trunks = [
                    s.landmarks.pixels(width, height)[_TRUNK] for s in (slot, older) if s.landmarks
                ]
                apart = float(np.linalg.norm(trunks[0] - trunks[1], axis=1).mean())
                if apart < _SAME_TRUNK * older.trunk:
                    doubles.append(older if older.surprise > slot.surprise else slot)
            elif slot.box.shared(older.area) > _SAME * min(slot.box.area, older.box.area):
                doubles.append(slot)
    return doubles
