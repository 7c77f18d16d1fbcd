"""3D ResNet-101 on 16 frames, the visual backbone of VAANet, CTEN and MART.

Source: Hara, Kataoka and Satoh, "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
ImageNet?", CVPR 2018; layers as in methods' released code (stride 1 in time at the first layer,
projection shortcuts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from jack_stream.models.layers import BatchNorm3d, Conv3d, Linear, path_for
from jack_stream.models.residual import Bottleneck, Trunk, stages

__all__ = ["RESNET_101", "ResNet3D"]

Var = Any

RESNET_101 = (3, 4, 23, 3)
"""Blocks of the four stages."""


class ResNet3D(Trunk):
    """3D ResNet-101: clip [N, 3, T, H, W] -> 2048 channels at 1/16 of T and 1/32 of H and W, up.

    Pixels are normalised as the weights were trained: x/255 - 100/255 for those of VAANet and CTEN.

    Args:
        num_classes: outputs of the classifier: 400 (Kinetics), 1039 (Kinetics-700 and Moments);
            None leaves the classifier out.
        depths: blocks per stage.
        numbered: name the children as ``nn.Sequential(*children)`` does (``0.weight``...).
        width: channels inside the first stage; the last map has 32 times as many.
    """

    input_spec: ClassVar[dict[str, tuple[int | str, ...]]] = {"clip": ("B", 3, "T", "H", "W")}

    def __init__(
        self,
        num_classes: int | None = 400,
        *,
        depths: Sequence[int] = RESNET_101,
        numbered: bool = False,
        width: int = 64,
    ) -> None:
        self.channels = 32 * width
        stem = Conv3d(3, width, 7, stride=(1, 2, 2), padding=3, bias=False)
        body = stages(Bottleneck, depths, dimensions=3, width=width)
        super().__init__(stem, BatchNorm3d(width), body, numbered=numbered)
        self.fc = None if num_classes is None else Linear(self.channels, num_classes)

    def execute(self, clip: Var) -> dict[str, Var]:
        """Clip [N, 3, T, H, W] -> ``features`` [N, 2048] and, with a classifier, ``logits``.

        ``features`` is the mean of the last map over time and space.
        """
        features = self.pooled(clip)
        if self.fc is None:
            return {"features": features}
        return {"features": features, "logits": path_for(self).linear(features, self.fc)}
