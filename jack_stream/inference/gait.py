"""BPM-GCN on a stream of poses: one prediction per walking person and hop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features.gait_window import GaitPreprocessing, ResampledGait, body_height
from jack_stream.features.skeleton import from_mediapipe, joint_index
from jack_stream.inference.analyzer import Ask, Look, Prediction, Step
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import POSE_LANDMARKS, Frame, Poses, Stamp

__all__ = ["GaitAnalyzer", "is_a_walk", "marching"]

DEFAULT_HOP_S = 1.0
MIN_SUPPORT = 0.6
"""Share of all joints and frames that must rest on what was seen."""
MIN_LEG_SUPPORT = 0.6
"""The same for knees and feet alone: who sits at a table has no gait."""
MIN_STRIDE = 0.06
"""How far the feet must swing against each other (standard deviation, in body heights)."""
_LEGS = [joint_index(f"{side}_{part}") for side in ("left", "right") for part in ("knee", "foot")]
_FEET = [joint_index("left_foot"), joint_index("right_foot")]


class GaitAnalyzer:
    """Cuts poses into windows per person and asks BPM-GCN about those who walk.

    Args:
        model: ``bpm-gcn``; its card's preprocessing table says how gaits are prepared.
        settings: window, hop and lateness; the window's length is the card's.
    """

    view = None

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        self.model = model
        card = model.origin.card.preprocessing if model.origin is not None else {}
        self.preprocessing = GaitPreprocessing.from_card(card)
        self.spec = WindowSpec(
            length_ns=self.preprocessing.window_ns,
            hop_ns=round((settings.hop_s or DEFAULT_HOP_S) * NS_PER_S),
            modalities=("pose",),
            lateness_ns=round(settings.lateness_s * NS_PER_S),
        )
        self._network = Step(model, "network", model.infer)

    def shrink(self, frame: Frame) -> Frame:
        """Pictures are not looked at."""
        return frame

    def look(self, window: Window) -> Look:
        """One prediction for each person with enough visible walking in the window."""
        gaits = self.walks(window)
        if not gaits:
            return []
        inputs = [self.preprocessing.inputs(gait.joints) for gait in gaits.values()]
        rows = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        outputs = yield Ask(self._network, rows)
        return [
            Prediction(logits, person, gait.support)
            for logits, (person, gait) in zip(outputs["logits"], gaits.items(), strict=True)
        ]

    def examples(self) -> Iterator[Window]:
        """A made-up walker."""
        return repeat(marching(self.spec))

    def walks(self, window: Window) -> dict[int, ResampledGait]:
        """The gaits of those with enough visible walking in the window, by person."""
        return {
            person: gait
            for person in sorted({person for poses in window.poses for person in poses.ids})
            if is_a_walk(gait := self._gait(person, window))
        }

    def _gait(self, person: int, window: Window) -> ResampledGait:
        times: list[int] = []
        landmarks: list[NDArray[np.float32]] = []
        for poses in window.poses:
            if person in poses.ids:
                times.append(poses.stamp.captured_at_ns)
                landmarks.append(poses.world[poses.ids.index(person)])
        stack = np.stack(landmarks)
        joints, visibility = from_mediapipe(stack[..., :3], stack[..., 3])
        return self.preprocessing.resample(times, joints, visibility, window.start_ns)


def is_a_walk(gait: ResampledGait) -> bool:
    """Whether enough of a body was seen, its legs above all, and its feet swing."""
    if gait.support < MIN_SUPPORT or gait.supported[:, _LEGS].mean() < MIN_LEG_SUPPORT:
        return False
    left, right = gait.joints[:, _FEET[0]], gait.joints[:, _FEET[1]]
    swing = float(np.linalg.norm((left - right).std(0)))
    return swing >= MIN_STRIDE * body_height(gait.joints)


def marching(spec: WindowSpec, start_ns: int = 0) -> Window:
    """A window in which an upright stick swings its legs."""
    poses, end_ns = [], start_ns + spec.length_ns
    world = np.zeros((1, POSE_LANDMARKS, 4), np.float32)
    world[..., 1] = np.linspace(-0.7, 0.9, POSE_LANDMARKS)
    world[:, ::2, 0] = 0.15
    world[..., 3] = 1.0
    for seq, at_ns in enumerate(range(start_ns, end_ns, NS_PER_S // 25)):
        walking = world.copy()
        walking[:, 27, 2] = 0.4 * np.sin(at_ns / 2e8)
        stamp = Stamp("warm-up", seq, at_ns, "warm-up")
        poses.append(Poses(stamp, (0,), (1.0,), walking, walking, (640, 480)))
    return Window("warm-up", 0, 0, start_ns, end_ns, {"pose": tuple(poses)}, (), end_ns)
