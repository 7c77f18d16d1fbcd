"""I3D on RGB, whose features TSL-Net works on.

Source: Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics
Dataset", CVPR 2017. Parameter names are those of the released PyTorch conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from jack_stream.models.layers import (
    BatchNorm3d,
    Conv3d,
    Dropout,
    ExecutionPath,
    Module,
    avg_pool,
    path_for,
)

__all__ = ["I3D"]

Var = Any
Triple = tuple[int, int, int]

# Channels of a module's branches: 1x1 | 1x1, 3x3 | 1x1, 3x3 | pool, 1x1.
_MIXED: dict[str, tuple[int, tuple[int, ...]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}

# Kernel and stride of the pooling in front of these.
_POOLED: dict[str, tuple[Triple, Triple]] = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}

_STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
_LAST_POOL = (2, 7, 7)


def same_margins(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Margins with which the output has ceil(size / stride) positions; the odd zero comes last.

    This is what TensorFlow, where I3D comes from, calls "same".
    """
    totals = [max(k - (n % s or s), 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _pool(x: Var, kernel: Triple, stride: Triple, path: ExecutionPath) -> Var:
    # The margins never win a maximum; zeros could not either, since maps are not negative here.
    return path.max_pool(x, kernel, stride, same_margins(path.spatial(x), kernel, stride))


class _Unit(Module):
    """Convolution with "same" margins, batch-norm and ReLU; or the bare classifier."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, classifier: bool = False
    ) -> None:
        self.is_train = True
        self.conv3d = Conv3d(inputs, outputs, kernel, stride=stride, bias=classifier)
        if not classifier:
            self.bn = BatchNorm3d(outputs, eps=1e-3)

    def execute(self, x: Var, path: ExecutionPath) -> Var:
        kernel, stride = self.conv3d.kernel_size, self.conv3d.geometry.stride
        margins = same_margins(path.spatial(x), kernel, stride)
        return path.convolution(x, self.conv3d, self.bn, relu=True, margins=margins)


class _Mixed(Module):
    """Four branches side by side, joined along the channels."""

    def __init__(self, inputs: int, channels: tuple[int, ...]) -> None:
        self.is_train = True
        self.b0 = _Unit(inputs, channels[0], 1)
        self.b1a = _Unit(inputs, channels[1], 1)
        self.b1b = _Unit(channels[1], channels[2], 3)
        self.b2a = _Unit(inputs, channels[3], 1)
        self.b2b = _Unit(channels[3], channels[4], 3)
        self.b3b = _Unit(inputs, channels[5], 1)

    def execute(self, x: Var, path: ExecutionPath) -> Var:
        branches = [
            self.b0(x, path),
            self.b1b(self.b1a(x, path), path),
            self.b2b(self.b2a(x, path), path),
            self.b3b(_pool(x, (3, 3, 3), (1, 1, 1), path), path),
        ]
        return path.concatenate(branches)


class I3D(Module):
    """Inflated Inception-v1 on RGB: clip [N, 3, T, H, W], values 2 x / 255 - 1.

    Args:
        num_classes: outputs of the classifier (400 for Kinetics).
    """

    channels: ClassVar[int] = 1024
    precision = "float32"
    input_spec: ClassVar[dict[str, tuple[int | str, ...]]] = {"clip": ("B", 3, "T", "H", "W")}

    def __init__(self, num_classes: int = 400) -> None:
        self.is_train = True
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, stride=2)
        self.Conv3d_2b_1x1 = _Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        for name, (inputs, channels) in _MIXED.items():
            setattr(self, name, _Mixed(inputs, channels))
        self.dropout = Dropout(0.5)
        self.logits = _Unit(self.channels, num_classes, 1, classifier=True)

    def last_map(self, clip: Var) -> Var:
        """Clip -> the map of ``Mixed_5c``, [N, 1024, T/8, H/32, W/32], each rounded up."""
        path = path_for(self)
        x = path.enter(clip)
        for name in (*_STEM, *_MIXED):
            if name in _POOLED:
                x = _pool(x, *_POOLED[name], path)
            x = getattr(self, name)(x, path)
        return path.leave(x)

    def execute(self, clip: Var) -> dict[str, Var]:
        """Clip [N, 3, T, H, W] -> ``features`` [N, 1024, t, h, w] and ``logits`` [N, classes, t].

        ``features`` is ``Mixed_5c`` averaged over windows of 2x7x7 with stride 1; 16 frames of
        224x224 give one window. ``logits`` exist where h and w are 1.
        """
        features = avg_pool(self.last_map(clip), _LAST_POOL, 1)
        if tuple(features.shape[3:]) != (1, 1):
            return {"features": features}
        path = path_for(self.logits)
        kept = path.enter(self.dropout(features))
        logits = path.leave(path.convolution(kept, self.logits.conv3d))
        return {"features": features, "logits": logits.squeeze(4).squeeze(3)}
