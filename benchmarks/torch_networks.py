"""The networks restated in PyTorch, for their running time only: weights are random.

Each entry of ``NETWORKS`` gives a module and example inputs of the shapes in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention
from torch_transformers import mart

Made = tuple[nn.Module, tuple[Tensor, ...]]


class Residual(nn.Module):
    """A residual block of given kernels in 2D or 3D; the stride sits on the 3-wide convolution."""

    def __init__(self, dims: int, inputs: int, widths: Sequence[int], stride: int) -> None:
        super().__init__()
        conv = nn.Conv3d if dims == 3 else nn.Conv2d
        norm = nn.BatchNorm3d if dims == 3 else nn.BatchNorm2d
        kernels = (1, 3, 1) if len(widths) == 3 else (3, 3)
        strided = 1 if len(widths) == 3 else 0
        layers: list[nn.Module] = []
        channels = inputs
        for place, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
            step = stride if place == strided else 1
            layers += [conv(channels, width, kernel, step, kernel // 2, bias=False), norm(width)]
            layers += [nn.ReLU(inplace=True)]
            channels = width
        self.body = nn.Sequential(*layers[:-1])
        same = stride == 1 and inputs == channels
        self.down = (
            nn.Identity()
            if same
            else nn.Sequential(conv(inputs, channels, 1, stride, bias=False), norm(channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.down(x))


def stack(
    dims: int, depths: Sequence[int], widths: Callable[[int], Sequence[int]], first: int = 64
) -> nn.Sequential:
    blocks, channels = [], first
    for stage, depth in enumerate(depths):
        for place in range(depth):
            sizes = widths(first * 2**stage)
            stride = 2 if stage and not place else 1
            blocks.append(Residual(dims, channels, sizes, stride))
            channels = sizes[-1]
    return nn.Sequential(*blocks)


def resnet3d_trunk() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, 64, 7, (1, 2, 2), 3, bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(),
        nn.MaxPool3d(3, 2, 1),
        stack(3, (3, 4, 23, 3), lambda w: (w, w, 4 * w)),
    )


def audio_trunk(width: int = 64) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, (7, 1), (2, 1), (3, 0), bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        stack(2, (2, 2, 2, 2), lambda w: (w, w), width),
    )


def resnet3d() -> Made:
    network = nn.Sequential(
        resnet3d_trunk(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2048, 400)
    )
    return network, (torch.rand(1, 3, 16, 112, 112),)


class Unit(nn.Module):
    """I3D's convolution with TensorFlow's "same" margins, batch-norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.norm = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, margins(x, (self.kernel,) * 3, (self.stride,) * 3))
        return F.relu(self.norm(self.conv(x)))


def margins(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (int(size) % s or s), 0)
        pads += [total // 2, total - total // 2]
    return pads


class Pool(nn.Module):
    def __init__(self, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.kernel, self.stride = tuple(kernel), tuple(stride)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, margins(x, self.kernel, self.stride))
        return F.max_pool3d(x, self.kernel, self.stride)


class Mixed(nn.Module):
    def __init__(self, inputs: int, c: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                Unit(inputs, c[0], 1),
                nn.Sequential(Unit(inputs, c[1], 1), Unit(c[1], c[2], 3)),
                nn.Sequential(Unit(inputs, c[3], 1), Unit(c[3], c[4], 3)),
                nn.Sequential(Pool((3, 3, 3), (1, 1, 1)), Unit(inputs, c[5], 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def i3d() -> Made:
    network = nn.Sequential(
        Unit(3, 64, 7, 2),
        Pool((1, 3, 3), (1, 2, 2)),
        Unit(64, 64, 1),
        Unit(64, 192, 3),
        Pool((1, 3, 3), (1, 2, 2)),
        Mixed(192, (64, 96, 128, 16, 32, 32)),
        Mixed(256, (128, 128, 192, 32, 96, 64)),
        Pool((3, 3, 3), (2, 2, 2)),
        Mixed(480, (192, 96, 208, 16, 48, 64)),
        Mixed(512, (160, 112, 224, 24, 64, 64)),
        Mixed(512, (128, 128, 256, 24, 64, 64)),
        Mixed(512, (112, 144, 288, 32, 64, 64)),
        Mixed(528, (256, 160, 320, 32, 128, 128)),
        Pool((2, 2, 2), (2, 2, 2)),
        Mixed(832, (256, 160, 320, 32, 128, 128)),
        Mixed(832, (384, 192, 384, 48, 128, 128)),
        nn.AvgPool3d((2, 7, 7), 1),
        nn.Conv3d(1024, 400, 1),
    )
    return network, (torch.rand(1, 3, 16, 224, 224) * 2 - 1,)


class GraphBlock(nn.Module):
    """A 2s-AGCN block: adaptive graph convolution over 16 joints, then 9 steps of time."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, residual: bool) -> None:
        super().__init__()
        self.inner, self.residual = outputs // 4, residual
        make = lambda c, o: nn.ModuleList([nn.Conv2d(c, o, 1) for _ in range(3)])  # noqa: E731
        self.a, self.b = make(inputs, self.inner), make(inputs, self.inner)
        self.d = make(inputs, outputs)
        self.adjacency = nn.Parameter(torch.rand(3, 16, 16))
        self.bn, self.bn_t = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.time = nn.Conv2d(outputs, outputs, (9, 1), (stride, 1), (4, 0))
        self.down, self.skip = nn.Identity(), nn.Identity()
        if inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        if residual and (inputs != outputs or stride != 1):
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, v = x.shape
        total = None
        for i in range(3):
            a = self.a[i](x).permute(0, 3, 1, 2).reshape(n, v, self.inner * t)
            b = self.b[i](x).reshape(n, self.inner * t, v)
            graph = torch.softmax(a @ b / (self.inner * t), 1) + self.adjacency[i]
            z = self.d[i]((x.reshape(n, c * t, v) @ graph).reshape(n, c, t, v))
            total = z if total is None else total + z
        y = F.relu(self.bn(total) + self.down(x))
        y = self.bn_t(self.time(y))
        return F.relu(y + self.skip(x)) if self.residual else F.relu(y)


class Gait(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = [(64, 1)] * 4 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2
        self.norms = nn.ModuleList([nn.BatchNorm1d(48), nn.BatchNorm1d(128)])
        self.streams = nn.ModuleList()
        for inputs in (3, 8):
            blocks, channels = nn.ModuleList(), inputs
            for place, (width, stride) in enumerate(sizes):
                blocks.append(GraphBlock(channels, width, stride, residual=place > 0))
                channels = width
            self.streams.append(blocks)
        gate = lambda n: nn.Sequential(  # noqa: E731
            nn.Linear(n, n, bias=False), nn.ReLU(), nn.Linear(n, n, bias=False), nn.Sigmoid()
        )
        self.gates = nn.ModuleList(
            [nn.ModuleList([gate(16), gate(t), gate(16), gate(t)]) for t in (48, 24, 12)]
        )
        self.heads = nn.ModuleList([nn.Linear(256, 4), nn.Linear(256, 1488), nn.Linear(256, 4)])

    def forward(self, posture: Tensor, movement: Tensor) -> tuple[Tensor, ...]:
        xs = []
        for x, norm in zip((posture, movement), self.norms, strict=True):
            n, c, t, v, _ = x.shape
            flat = norm(x[..., 0].permute(0, 3, 1, 2).reshape(n, v * c, t))
            xs.append(flat.reshape(n, v, c, t).permute(0, 2, 3, 1))
        for place in range(10):
            xs = [stream[place](x) for stream, x in zip(self.streams, xs, strict=True)]
            if place in {3, 6, 9}:
                joint_p, time_p, joint_m, time_m = self.gates[(3, 6, 9).index(place)]
                p, m = xs
                w_p = time_p((p.mean(1) * joint_p(p.mean((1, 2)))[:, None]).mean(2))
                w_m = time_m((m.mean(1) * joint_m(m.mean((1, 2)))[:, None]).mean(2))
                p = p + m * w_m[:, None, :, None]
                xs = [p, m + p * w_p[:, None, :, None]]
        p, m = (x.mean((2, 3)) for x in xs)
        return self.heads[0](p), self.heads[1](p), self.heads[2](m)


def bpm_gcn(people: int) -> Made:
    return Gait(), (torch.rand(people, 3, 48, 16, 1), torch.rand(people, 8, 48, 16, 1))


class Sentiment(nn.Module):
    """TSL-Net's network on I3D features and log-mel."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU
        self.sound = nn.Sequential(
            *(nn.Conv2d(1, 64, 7, (3, 2), 3), relu(), nn.BatchNorm2d(64), nn.MaxPool2d(4)),
            *(nn.Conv2d(64, 256, 3, 1, 1), relu(), nn.Conv2d(256, 256, 1), relu()),
            *(nn.BatchNorm2d(256), nn.MaxPool2d(2), nn.Conv2d(256, 512, 3, 1, 1), relu()),
            *(nn.Conv2d(512, 512, 1), relu(), nn.BatchNorm2d(512), nn.AdaptiveAvgPool2d(1)),
        )
        self.align = nn.Conv1d(1024, 512, 3, padding=1)
        self.neck = nn.Conv1d(1024, 2048, 3, padding=1)
        self.heads = nn.Conv1d(2048, 6, 1, bias=False)

    def forward(self, rgb: Tensor, mel: Tensor) -> tuple[Tensor, ...]:
        b, t = mel.shape[:2]
        wide = torch.cat([mel.roll(1, 1), mel, mel.roll(-1, 1)], 2).reshape(b * t, 1, 96, 60)
        sound = self.sound(wide).reshape(b, t, 512).transpose(1, 2)
        visual = F.relu(self.align(rgb.transpose(1, 2)))
        features = F.relu(self.neck(torch.cat([visual, sound], 1)))
        scores = torch.sigmoid(self.heads(features)[:, :3])
        fused = scores[:, :2] * (1 - scores[:, 2:])
        return scores.sort(2, descending=True)[0][:, :2, : t // 8].mean(2), fused, features


def tsl_net() -> Made:
    return Sentiment(), (torch.rand(1, 60, 1024), torch.rand(1, 60, 32, 60))


class Attention(nn.Module):
    """Weights per item: 1x1 convolution to one channel, batch-norm, tanh, linear."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(inputs, 1, 1, bias=False), nn.BatchNorm1d(1)
        self.fc = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(self.norm(self.conv(x))).squeeze(1))


class TwoStream(nn.Module):
    """VAANet: the snippets' maps with three attentions, the audio pieces with one."""

    def __init__(self) -> None:
        super().__init__()
        self.visual, self.sound = resnet3d_trunk(), audio_trunk()
        self.conv = nn.Sequential(nn.Conv1d(2048, 512, 1), nn.BatchNorm1d(512), nn.ReLU())
        self.space, self.channel = Attention(512, 16), Attention(16, 512)
        self.time, self.time_a = Attention(512, 16), Attention(256, 16)
        self.embed = nn.Sequential(nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Tanh())
        self.fc = nn.Linear(768, 8)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        b, s = visual.shape[:2]
        x = self.visual((visual.flatten(0, 1) - 100) / 255).flatten(2)
        x = self.conv(x)
        x = x * (torch.softmax(self.space(x), 1) * 16)[:, None]
        x = x * (torch.softmax(self.channel(x.transpose(1, 2)), 1) * 512)[..., None]
        x = x.mean(2).reshape(b, s, 512).transpose(1, 2)
        x = (x * F.relu(self.time(x))[:, None]).mean(2)
        y = self.sound(audio.reshape(b * 16, 1, -1, audio.shape[-1])).mean((2, 3))
        y = self.embed(y).reshape(b, 16, 256).transpose(1, 2)
        y = (y * F.relu(self.time_a(y))[:, None]).mean(2)
        return self.fc(torch.cat([x, y], 1))


def vaanet() -> Made:
    return TwoStream(), (torch.rand(1, 16, 3, 16, 112, 112) * 255, torch.rand(1, 4096, 32))


class NonLocal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Linear(2048, 256) for _ in range(3))
        self.out, self.norm = nn.Linear(256, 2048), nn.BatchNorm1d(2048)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.theta(x) @ self.phi(x).transpose(1, 2) / 16, -1)
        y = self.out(weights @ self.g(x))
        return self.norm(y.flatten(0, 1)).reshape(x.shape) + self.alpha * x


class Cross(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(2048, 2048) for _ in range(4))

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return F.relu(x).reshape(*x.shape[:2], 8, 256).transpose(1, 2)

        q, k, v = heads(self.q(query)), heads(self.k(memory)), heads(self.v(memory))
        mixed = torch.softmax(q @ k.transpose(2, 3) / 16, -1) @ v
        return F.relu(self.o(mixed.transpose(1, 2).flatten(2)))


class CrossModal(nn.Module):
    """CTEN: non-local blocks, attention between the modalities, temporal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.visual, self.sound = resnet3d_trunk(), audio_trunk()
        self.embed = nn.Sequential(nn.Linear(512, 2048), nn.BatchNorm1d(2048), nn.Tanh())
        self.local_v, self.local_a = NonLocal(), NonLocal()
        self.to_v, self.to_a = Cross(), Cross()
        self.time, self.fc = Attention(4096, 16), nn.Linear(4096, 8)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        b, s = visual.shape[:2]
        v = self.visual((visual.flatten(0, 1) - 100) / 255).mean((2, 3, 4)).reshape(b, s, 2048)
        a = self.sound(audio.reshape(b * s, 1, -1, audio.shape[-1])).mean((2, 3))
        a = self.embed(a).reshape(b, s, 2048)
        v, a = self.local_v(v), self.local_a(a)
        x = torch.cat([v + self.to_v(a, v), a + self.to_a(v, a)], 2).transpose(1, 2)
        return self.fc((x * F.relu(self.time(x))[:, None]).mean(2))


def cten() -> Made:
    return CrossModal(), (torch.rand(1, 16, 3, 16, 112, 112) * 255, torch.rand(1, 1600, 128))


NETWORKS: dict[str, Callable[[], Made]] = {
    "resnet3d-101": resnet3d,
    "i3d": i3d,
    "bpm-gcn": lambda: bpm_gcn(1),
    "bpm-gcn-16": lambda: bpm_gcn(16),
    "tsl-net": tsl_net,
    "vaanet": vaanet,
    "cten": cten,
    "mart": mart,
}
