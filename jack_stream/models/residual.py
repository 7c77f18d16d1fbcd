"""Residual blocks and the trunk of a residual network, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jack_stream.models.layers import (
    BatchNorm2d,
    BatchNorm3d,
    Conv2d,
    Conv3d,
    ExecutionPath,
    Module,
    path_for,
)
from jack_stream.runtime import jittor

__all__ = ["BasicBlock", "Bottleneck", "Trunk", "stages"]

jt = jittor()
Var = Any

# The children's names in the authors' classes, and in ``nn.Sequential(*children)`` of them, where
# the ReLU and the pooling behind the first layers have the numbers 2 and 3.
_NAMES = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
_NUMBERS = ("0", "1", "4", "5", "6", "7")

_LAYERS = {2: (Conv2d, BatchNorm2d), 3: (Conv3d, BatchNorm3d)}


class _Block(Module):
    """What the two blocks share: the shortcut, a strided 1x1 convolution where shapes differ."""

    expansion: int

    def __init__(self, inputs: int, width: int, stride: int, dimensions: int) -> None:
        self.is_train = True
        conv, norm = _LAYERS[dimensions]
        outputs = width * self.expansion
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = jt.nn.Sequential(
                conv(inputs, outputs, 1, stride=stride, bias=False), norm(outputs)
            )

    def _shortcut(self, x: Var, path: ExecutionPath) -> Var:
        if self.downsample is None:
            return x
        return path.convolution(x, self.downsample[0], self.downsample[1])


class BasicBlock(_Block):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dimensions: int) -> None:
        super().__init__(inputs, width, stride, dimensions)
        conv, norm = _LAYERS[dimensions]
        self.conv1 = conv(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, padding=1, bias=False)
        self.bn2 = norm(width)

    def execute(self, x: Var, path: ExecutionPath) -> Var:
        """A map in the path's layout -> the block's map."""
        y = path.convolution(x, self.conv1, self.bn1, relu=True)
        shortcut = self._shortcut(x, path)
        return path.convolution(y, self.conv2, self.bn2, residual=shortcut, relu=True)


class Bottleneck(_Block):
    """1x1, 3x3 (strided) and 1x1 convolutions and a shortcut, four times as many channels out."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dimensions: int) -> None:
        super().__init__(inputs, width, stride, dimensions)
        conv, norm = _LAYERS[dimensions]
        self.conv1 = conv(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = conv(width, width * self.expansion, 1, bias=False)
        self.bn3 = norm(width * self.expansion)

    def execute(self, x: Var, path: ExecutionPath) -> Var:
        """A map in the path's layout -> the block's map."""
        y = path.convolution(x, self.conv1, self.bn1, relu=True)
        y = path.convolution(y, self.conv2, self.bn2, relu=True)
        shortcut = self._shortcut(x, path)
        return path.convolution(y, self.conv3, self.bn3, residual=shortcut, relu=True)


def stages(
    block: type[BasicBlock | Bottleneck], depths: Sequence[int], dimensions: int, width: int = 64
) -> list[Any]:
    """Four stages of blocks, ``width`` to 8 ``width`` wide, all but the first halving the map."""
    inputs, made = width, []
    for number, depth in enumerate(depths):
        inner, blocks = width * 2**number, []
        for position in range(depth):
            stride = 2 if number > 0 and position == 0 else 1
            blocks.append(block(inputs, inner, stride, dimensions))
            inputs = inner * block.expansion
        made.append(jt.nn.Sequential(*blocks))
    return made


class Trunk(Module):
    """Convolution, batch-norm, ReLU, 3-wide max-pooling with stride 2, and four stages.

    Args:
        stem: the first convolution.
        norm: its batch normalisation.
        body: the stages.
        numbered: name the children by their place in ``nn.Sequential(*children)`` (``0``, ``1``,
            ``4`` to ``7``), as networks do that cut a residual network open.
    """

    precision = "float32"

    def __init__(self, stem: Any, norm: Any, body: Sequence[Any], *, numbered: bool) -> None:
        self.is_train = True
        self._parts = (stem, norm, *body)
        for name, part in zip(_NUMBERS if numbered else _NAMES, self._parts, strict=True):
            setattr(self, name, part)

    def stage_maps(self, x: Var, path: ExecutionPath) -> list[Var]:
        """The maps behind the four stages, in the path's layout.

        On the fused path all but the last share memory with later ones: read one at a time.
        """
        stem, norm, *body = self._parts
        x = path.convolution(x, stem, norm, relu=True)
        x = path.max_pool(x, 3, 2, 1)
        maps = []
        for stage in body:
            for block in stage:
                x = block(x, path)
            maps.append(x)
        return maps

    def last_map(self, x: Var) -> Var:
        """[N, C, spatial...] -> the map of the last stage, channels first."""
        path = path_for(self)
        return path.leave(self.stage_maps(path.enter(x), path)[-1])

    def pooled(self, x: Var) -> Var:
        """[N, C, spatial...] -> the mean of the last map over all positions: [N, channels]."""
        path = path_for(self)
        return path.mean(self.stage_maps(path.enter(x), path)[-1])
