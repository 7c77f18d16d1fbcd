"""STEP's gait classifier, run in NumPy, as a teacher that labels walks softly.

"STEP: Spatial Temporal Graph Convolutional Networks for Emotion Perception from Gaits"
(Bhattacharya et al., AAAI 2020): an ST-GCN of three blocks over 75 frames, whose authors trained it
on the real Emotion-Gait walks and published the weights (MIT). They are read from an ``.npz`` of
plain arrays under the authors' parameter names; nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import BundleError
from jack_stream.features.skeleton import EMOTION_GAIT_JOINTS, JOINTS, joint_index
from jack_stream.models.labels import EMOTION_GAIT

__all__ = ["FRAMES", "FRAME_RATE_HZ", "LABELS", "REFERENCE", "Teacher"]

FloatArray = npt.NDArray[np.float32]
Weights = Mapping[str, npt.NDArray[np.float32]]

FRAMES = 75
FRAME_RATE_HZ = 30.0
"""At which the authors' recordings were made, and at which the teacher judges well."""

REFERENCE = "step_align_reference_frame.npy"
"""The published frame to which the authors aligned every walk; it lies beside the weights."""

LABELS = ("happy", "angry", "sad", "neutral")
"""The published label codes 0 to 3; other than the order of `EMOTION_GAIT`."""

_STRIDES = (1, 2, 1)
_TAPS = 75
_EPS = 1e-5
_THEIR_ORDER = [joint_index(name) for name in EMOTION_GAIT_JOINTS]
_OUR_CLASSES = [LABELS.index(label) for label in EMOTION_GAIT]


@dataclass(frozen=True)
class Teacher:
    """STEP's network with its weights.

    Attributes:
        weights: arrays under the authors' names.
        reference: ``[16, 3]``, their order of joints: what a gait's first frame is laid upon.
    """

    weights: Weights
    reference: npt.NDArray[np.float32]

    @classmethod
    def read(cls, weights: Path, reference: Path | None = None) -> Teacher:
        """The teacher from an ``.npz`` of its weights and an ``.npy`` of the reference frame.

        Args:
            weights: STEP's published ones.
            reference: if None, the file `REFERENCE` beside the weights.

        Raises:
            BundleError: a file can't be read, or holds something else.
        """
        reference = reference or weights.with_name(REFERENCE)
        try:
            with np.load(weights, allow_pickle=False) as stored:
                arrays = {name: stored[name].astype(np.float32) for name in stored.files}
            frame = np.load(reference, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as error:
            raise BundleError(f"the teacher can't be read: {error}") from error
        if "fcn.weight" not in arrays or arrays["fcn.weight"].shape[:2] != (len(LABELS), 64):
            raise BundleError(f"{weights}: holds no STEP classifier (fcn.weight [4, 64, 1, 1])")
        if frame.shape != (len(JOINTS), 3):
            raise BundleError(f"{reference}: must hold [16, 3], not {list(frame.shape)}")
        return cls(arrays, frame)

    def probabilities(self, gaits: npt.ArrayLike) -> FloatArray:
        """How a person would see these walks.

        Args:
            gaits: ``[N, T, 16, 3]`` in the order and axes of `jack_stream.features.skeleton`, at
                `FRAME_RATE_HZ`; cut or repeated to `FRAMES`.

        Returns:
            ``float32[N, 4]`` in the order of `EMOTION_GAIT`.
        """
        walks = np.asarray(gaits, np.float32)
        return np.stack([self._of_one(walk) for walk in walks])[:, _OUR_CLASSES]

    def _of_one(self, walk: npt.NDArray[np.float32]) -> FloatArray:
        whole = np.tile(walk, (-(-FRAMES // len(walk)), 1, 1))[:FRAMES, _THEIR_ORDER]
        logits = self._logits(align(whole - whole[:, :1], self.reference))
        shifted = np.exp(logits - logits.max())
        return np.asarray(shifted / shifted.sum(), np.float32)

    def _logits(self, walk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Of an aligned walk ``[75, 16, 3]``: the four logits."""
        w = self.weights
        x = self._norm("data_bn", walk.reshape(FRAMES, -1)).reshape(walk.shape)
        for i, stride in enumerate(_STRIDES):
            x = self._block(f"st_gcn_networks.{i}", x, w["A"] * w[f"edge_importance.{i}"], stride)
        pooled = x.mean((0, 1))
        logits: npt.NDArray[np.float32] = w["fcn.weight"][:, :, 0, 0] @ pooled + w["fcn.bias"]
        return logits

    def _block(
        self, name: str, x: npt.NDArray[np.float32], graph: npt.NDArray[np.float32], stride: int
    ) -> npt.NDArray[np.float32]:
        """One ST-GCN block on ``[T, V, C]``."""
        w = self.weights
        frames, joints, _ = x.shape
        spread = x @ w[f"{name}.gcn.conv.weight"][:, :, 0, 0].T + w[f"{name}.gcn.conv.bias"]
        subsets = spread.reshape(frames, joints, len(graph), -1)
        y = np.einsum("tvkc,kvw->twc", subsets, graph, optimize=True)
        y = np.maximum(self._norm(f"{name}.tcn.0", y), 0)
        y = _along_time(y, w[f"{name}.tcn.2.weight"][..., 0], stride) + w[f"{name}.tcn.2.bias"]
        y = self._norm(f"{name}.tcn.3", y)
        if f"{name}.residual.0.weight" in w:
            shortcut = x[::stride] @ w[f"{name}.residual.0.weight"][:, :, 0, 0].T
            x = self._norm(f"{name}.residual.1", shortcut + w[f"{name}.residual.0.bias"])
        return np.maximum(y + x, 0)

    def _norm(self, name: str, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Batch normalisation over the last axis by the running statistics."""
        w = self.weights
        scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + _EPS)
        normed: npt.NDArray[np.float32] = (x - w[f"{name}.running_mean"]) * scale
        return normed + w[f"{name}.bias"]


def align(
    walk: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The walk ``[T, V, 3]`` moved, turned and scaled so that its first frame fits the reference.

    The similarity transform of least squares (Umeyama, PAMI 1991), the same for all frames.
    """
    first = walk[0]
    source, target = first - first.mean(0), reference - reference.mean(0)
    u, singular, vt = np.linalg.svd(target.T @ source)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    scale = (singular * signs).sum() / (source**2).sum()
    aligned: npt.NDArray[np.float32] = (walk - first.mean(0)) @ rotation.T * scale
    return aligned + reference.mean(0)


def _along_time(
    x: npt.NDArray[np.float32], kernel: npt.NDArray[np.float32], stride: int
) -> npt.NDArray[np.float32]:
    """A padded convolution of ``[T, V, C]`` along time by ``[C', C, taps]``."""
    padded = np.pad(x, ((_TAPS // 2, _TAPS // 2), (0, 0), (0, 0)))
    runs = np.lib.stride_tricks.sliding_window_view(padded, _TAPS, axis=0)[::stride]
    return np.tensordot(runs, kernel, axes=([2, 3], [1, 2]))
