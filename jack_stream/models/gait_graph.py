"""The skeleton graph of BPM-GCN: its adjacency stack, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["INWARD_EDGES", "N_JOINTS", "adjacency"]

N_JOINTS = 16

INWARD_EDGES = (
    (9, 8),
    (8, 7),
    (7, 2),
    (3, 2),
    (4, 2),
    (5, 4),
    (6, 5),
    (2, 1),
    (1, 0),
    (13, 0),
    (10, 0),
    (15, 14),
    (14, 13),
    (12, 11),
    (11, 10),
)
"""Pairs (from, to): each joint and its neighbour towards the root, as in the released graph.

Joints: 0 root, 1 spine, 2 neck, 3 head, 4 to 6 right shoulder, elbow, hand, 7 to 9 the left ones,
10 to 12 right hip, knee, foot, 13 to 15 the left ones.
"""


def adjacency() -> npt.NDArray[np.float32]:
    """The three subsets ``float32[3, 16, 16]``: each joint itself, inward, outward edges.

    An edge is 1 at ``[to, from]``; each column is divided by its sum.
    """
    inward = np.zeros((N_JOINTS, N_JOINTS))
    for start, end in INWARD_EDGES:
        inward[end, start] = 1.0
    subsets = [np.eye(N_JOINTS), inward, inward.T]
    stack = [subset / np.maximum(subset.sum(0, keepdims=True), 1.0) for subset in subsets]
    return np.stack(stack).astype(np.float32)
