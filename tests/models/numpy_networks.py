"""BPM-GCN and TSL-Net stated once more, plainly and in float64, to compare other weights with.

BPM-GCN takes a walk in steps too: what a layer remembers from one to the next stands in a `Past`.

Both statements meet the authors' golden outputs (the tests that use them check it), so agreement
with them on random weights is agreement with the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.gait_graph import adjacency
from jack_stream.models.tsl_net import position_rows

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _sigmoid(x: Array) -> Array:
    result: Array = 0.5 * (1 + np.tanh(0.5 * x))  # nothing overflows
    return result


def _softmax(x: Array, axis: int) -> Array:
    shifted = np.exp(x - x.max(axis, keepdims=True))
    result: Array = shifted / shifted.sum(axis, keepdims=True)
    return result


def _norm(x: Array, w: Weights, name: str) -> Array:
    """Batch normalisation of axis 1 by the running statistics."""
    scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"].astype(np.float64) + 1e-5)
    shift = w[f"{name}.bias"] - w[f"{name}.running_mean"] * scale
    shape = (1, -1, *[1] * (x.ndim - 2))
    result: Array = x * scale.reshape(shape) + shift.reshape(shape)
    return result


def _conv(
    x: Array, w: Weights, name: str, stride: tuple[int, int] = (1, 1), pad: tuple[int, int] = (0, 0)
) -> Array:
    """2D cross-correlation of [N, C, H, W]."""
    kernel = w[f"{name}.weight"].astype(np.float64)
    x = np.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    windows: Array = _windows(x, kernel.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    y: Array = np.tensordot(windows, kernel, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return y + w[f"{name}.bias"][:, None, None] if f"{name}.bias" in w else y


def _windows(x: Array, shape: tuple[int, ...], axis: tuple[int, int]) -> Array:
    view: Array = np.lib.stride_tricks.sliding_window_view(x, shape, axis=axis)  # type: ignore[call-overload]
    return view


def _max_pool(x: Array, size: int) -> Array:
    windows: Array = _windows(x, (size, size), axis=(2, 3))
    pooled: Array = windows[:, :, ::size, ::size].max((4, 5))
    return pooled


# BPM-GCN ---------------------------------------------------------------------------------------


class Past:
    """What BPM-GCN's layers remember of a walk that comes in steps, under the layers' names.

    Args:
        share: of a window in a step.
        delayed: whether a convolution waits for the frames after, so that all it does is late.
    """

    def __init__(self, share: float, *, delayed: bool = False) -> None:
        self._share, self._delayed = share, delayed
        self._held: dict[str, Array] = {}

    def mean(self, name: str, new: Array) -> Array:
        old = self._held.get(name, new)
        self._held[name] = (1 - self._share) * old + self._share * new
        return self._held[name]

    def latest(self, name: str, new: Array, length: int) -> Array:
        """The last entries of a row ``[N, T, ...]``."""
        row = np.concatenate([self._held.get(name, new[:, :0]), new], axis=1)
        self._held[name] = row[:, -length:]
        return self._held[name]

    def around(self, name: str, x: Array) -> Array:
        """A map with what a convolution of nine taps needs on both sides."""
        x = self._continued(name, x, 8 if self._delayed else 4)
        return np.pad(x, ((0, 0), (0, 0), (0, 0 if self._delayed else 4), (0, 0)))

    def centred(self, name: str, x: Array) -> Array:
        return self._continued(name, x, 4)[:, :, : x.shape[2]] if self._delayed else x

    def _continued(self, name: str, x: Array, frames: int) -> Array:
        nothing = np.zeros((*x.shape[:2], frames, x.shape[3]))
        joined = np.concatenate([self._held.get(name, nothing), x], axis=2)
        self._held[name] = joined[:, :, -frames:]
        return joined


def _graph_convolution(x: Array, w: Weights, name: str, past: Past) -> Array:
    t = x.shape[2]
    total: Any = 0
    for i, fixed in enumerate(adjacency()):
        a = _conv(x, w, f"{name}.conv_a.{i}")
        b = _conv(x, w, f"{name}.conv_b.{i}")
        scores = np.einsum("nktu,nktv->nuv", a, b) / (a.shape[1] * t)
        graph = _softmax(past.mean(f"{name}.{i}", scores), 1) + fixed + w[f"{name}.PA"][i]
        total = total + _conv(np.einsum("nctu,nuv->nctv", x, graph), w, f"{name}.conv_d.{i}")
    y = _norm(total, w, f"{name}.bn")
    if f"{name}.down.0.weight" in w:
        return _relu(y + _norm(_conv(x, w, f"{name}.down.0"), w, f"{name}.down.1"))
    return _relu(y + x)


def _block(x: Array, w: Weights, name: str, stride: int, past: Past, *, first: bool) -> Array:
    y = past.around(name, _graph_convolution(x, w, f"{name}.gcn1", past))
    y = _norm(_conv(y, w, f"{name}.tcn1.conv", (stride, 1)), w, f"{name}.tcn1.bn")
    if first:
        return _relu(y)
    x = past.centred(f"{name}.residual", x)
    if f"{name}.residual.conv.weight" in w:
        x = _conv(x, w, f"{name}.residual.conv", (stride, 1))
        x = _norm(x, w, f"{name}.residual.bn")
    return _relu(y + x)


def _excitation(x: Array, w: Weights, name: str) -> Array:
    first, second = (w[f"{name}.fc{i}.weight"][:, :, 0, 0] for i in (1, 2))
    return _sigmoid(_relu(x @ first.T) @ second.T)


def interaction(
    streams: tuple[Array, Array], w: Weights, name: str, variant: str, past: Past
) -> tuple[Array, Array]:
    """Both streams [N, C, T, V] after a PM-interaction."""
    p, m = streams
    frames, maps = len(w[f"{name}.att_T_p.fc1.weight"]), {}
    for key, x in (("p", p), ("m", m)):
        n, _, t, _ = x.shape
        mean = past.mean(f"{name}.joints.{key}", x.mean((1, 2)))
        joints = _excitation(mean, w, f"{name}.att_N_{key}")[:, None, None, :]
        levels = (x if variant == "paper" else x * joints).mean((1, 3))
        known = past.latest(f"{name}.levels.{key}", levels, frames)
        window = np.concatenate([np.zeros((n, frames - known.shape[1])), known], axis=1)
        weights = _excitation(window, w, f"{name}.att_T_{key}")
        late = weights[:, frames - t :, None][:, None]
        maps[key] = late * joints if variant == "paper" else late
    posture = p + m * maps["m"]
    return posture, m + (p if variant == "paper" else posture) * maps["p"]


def bpm_gcn(
    posture: Array, movement: Array, w: Weights, variant: str, past: Past | None = None
) -> dict[str, Array]:
    """The outputs for ``[N, 3, T, 16, 1]`` and ``[N, 8, T, 16, 1]``; T is a window without past."""
    past = past or Past(1.0)
    window = len(w["fusion1.att_T_p.fc1.weight"])
    streams = {}
    for key, x in (("p", posture[..., 0]), ("m", movement[..., 0])):
        n, c, t, v = x.shape
        flat = x.astype(np.float64).transpose(0, 3, 1, 2).reshape(n, v * c, t)
        streams[key] = _norm(flat, w, f"data_bn_{key}").reshape(n, v, c, t).transpose(0, 2, 3, 1)
    p, m = streams["p"], streams["m"]
    for i in range(1, 11):
        stride = 2 if i in (5, 8) else 1
        p = _block(p, w, f"l{i}_p", stride, past, first=i == 1)
        m = _block(m, w, f"l{i}_m", stride, past, first=i == 1)
        if i in (4, 7, 10):
            p, m = interaction((p, m), w, f"fusion{(4, 7, 10).index(i) + 1}", variant, past)
    pool = np.max if variant == "paper" else np.mean
    p, m = (
        pool(past.latest(key, pool(x, axis=3).transpose(0, 2, 1), window // 4), axis=1)
        for key, x in (("p", p), ("m", m))
    )
    heads = {"posture_logits": ("fc1_classifier_p", p), "movement_logits": ("fc1_classifier_m", m)}
    heads["affective"] = ("fc2_aff", p)
    outputs = {k: x @ w[f"{f}.weight"].T + w[f"{f}.bias"] for k, (f, x) in heads.items()}
    outputs["logits"] = (outputs["posture_logits"] + outputs["movement_logits"]) / 2
    return outputs


# TSL-Net ---------------------------------------------------------------------------------------


def _along_time(x: Array, w: Weights, name: str) -> Array:
    """A convolution of three steps over [T, C], with ReLU."""
    planes = {f"{name}.weight": w[f"{name}.weight"][..., None], f"{name}.bias": w[f"{name}.bias"]}
    y = _conv(x.T[None, :, :, None], planes, name, pad=(1, 0))
    return _relu(y[0, :, :, 0].T)


def tsl_net(rgb: Array, mel: Array, w: Weights) -> dict[str, Array]:
    """The outputs for one video of at most 600 segments: ``[T, 1024]`` and ``[T, 32, 60]``."""
    t, net = len(rgb), "cls_module"
    placed = mel.astype(np.float64) + position_rows(np.arange(t))[:, None]
    stacked = np.concatenate([np.roll(placed, 1, 0), placed, np.roll(placed, -1, 0)], 1)
    a = f"{net}.a_extractor"
    x = _norm(_relu(_conv(stacked[:, None], w, f"{a}.0", (3, 2), (3, 3))), w, f"{a}.2")
    x = _relu(_conv(_relu(_conv(_max_pool(x, 4), w, f"{a}.4", pad=(1, 1))), w, f"{a}.6"))
    x = _max_pool(_norm(x, w, f"{a}.8"), 2)
    x = _relu(_conv(_relu(_conv(x, w, f"{a}.10", pad=(1, 1))), w, f"{a}.12"))
    sound = _norm(x, w, f"{a}.14").mean((2, 3))
    visual = _along_time(rgb.astype(np.float64), w, f"{net}.v_align.0")
    features = _along_time(np.concatenate([visual, sound], 1), w, f"{net}.neck.0")
    scores = _sigmoid(features @ w[f"{net}.classifier.0.weight"][:, :, 0].T)
    background = scores[:, -1:]
    best = -np.sort(-scores, axis=0)[: max(1, t // 8)]
    return {
        "vid_score": best.mean(0)[None, :-1],
        "cas_sigmoid_fuse": np.concatenate([scores[:, :-1] * (1 - background), background], 1)[
            None
        ],
        "features": features[None],
    }
