"""2D ResNet-18, which VAANet and CTEN use on spectrograms.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from typing import Any

from jack_stream.models.layers import BatchNorm2d, Conv2d, Linear, path_for
from jack_stream.models.residual import BasicBlock, Trunk, stages

__all__ = ["AudioResNet18", "ResNet18"]

Var = Any

_DEPTHS = (2, 2, 2, 2)


class ResNet18(Trunk):
    """ResNet-18 on pictures [N, 3, H, W] -> 512 channels at 1/32 of the size.

    Args:
        num_classes: outputs of the classifier; None leaves it out.
        numbered: name the children as ``nn.Sequential(*children)`` does (``0.weight``...).
    """

    def __init__(self, num_classes: int | None = 1000, *, numbered: bool = False) -> None:
        self.channels = 512
        stem = Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        super().__init__(
            stem, BatchNorm2d(64), stages(BasicBlock, _DEPTHS, dimensions=2), numbered=numbered
        )
        self.fc = None if num_classes is None else Linear(self.channels, num_classes)

    def execute(self, x: Var) -> Var:
        """Pictures [N, 3, H, W] -> logits [N, num_classes], or features [N, 512] without them."""
        features = self.pooled(x)
        return features if self.fc is None else path_for(self).linear(features, self.fc)


class AudioResNet18(Trunk):
    """ResNet-18 whose first layer sees one channel and moves along time only.

    The first convolution is 7x1 with stride (2, 1) and padding (3, 0), as in VAANet and CTEN.

    Args:
        numbered: name the children as ``nn.Sequential(*children)`` does, as both authors have them.
        width: channels of the first stage; the last one has 8 times as many.
    """

    def __init__(self, *, numbered: bool = True, width: int = 64) -> None:
        self.channels = 8 * width
        stem = Conv2d(1, width, (7, 1), stride=(2, 1), padding=(3, 0), bias=False)
        body = stages(BasicBlock, _DEPTHS, dimensions=2, width=width)
        super().__init__(stem, BatchNorm2d(width), body, numbered=numbered)

    def execute(self, x: Var) -> Var:
        """Spectrogram pieces [N, 1, T, F] -> the last map [N, channels, T/32, F/16], rounded up.

        ``pooled`` gives its mean over all positions, [N, channels].
        """
        return self.last_map(x)
