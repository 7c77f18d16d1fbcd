"""MART's classifier restated in PyTorch as its authors wrote it, for its running time only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH, HEADS, DEPTH, FUSION, SHARED = 768, 12, 12, 8, 32


class Block(nn.Module):
    """A pre-norm block that forms the whole attention map, as timm 0.4.5 does."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = ((q * (WIDTH // HEADS) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.proj((attention @ v).transpose(1, 2).reshape(b, n, WIDTH))
        return x + self.mlp(self.norm2(x))


class Mart(nn.Module):
    """Both streams with their shared tokens, and the classifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv3d(3, WIDTH, (2, 16, 16), (2, 16, 16))
        self.hear = nn.Conv2d(1, WIDTH, 16, 10)
        self.visual = nn.ModuleList(Block() for _ in range(DEPTH))
        self.audio = nn.ModuleList(Block() for _ in range(DEPTH))
        self.first_visual = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.first_audio = nn.Parameter(torch.zeros(1, 2, WIDTH))
        self.shared = nn.Parameter(torch.randn(1, SHARED, WIDTH))
        self.norm_visual, self.norm_audio = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.v_fc, self.a_fc = nn.Linear(WIDTH, 8), nn.Linear(WIDTH, 8)

    def forward(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        b, s = visual.shape[:2]
        n = b * s
        v = self.see(visual.reshape(n, 3, 16, 112, 112) / 255 - 100 / 255).flatten(2)
        a = self.hear(audio.reshape(n, 100, 128).transpose(1, 2).unsqueeze(1)).flatten(2)
        v = torch.cat([self.first_visual.expand(n, -1, -1), v.transpose(1, 2)], 1)
        a = torch.cat([self.first_audio.expand(n, -1, -1), a.transpose(1, 2)], 1)
        seen, heard = v.shape[1], a.shape[1]
        for index in range(DEPTH):
            if index == FUSION:
                shared = self.shared.expand(n, -1, -1)
                v, a = torch.cat([v, shared], 1), torch.cat([a, shared], 1)
            v, a = self.visual[index](v), self.audio[index](a)
            if index >= FUSION:
                shared = (v[:, seen:] + a[:, heard:]) / 2
                v, a = torch.cat([v[:, :seen], shared], 1), torch.cat([a[:, :heard], shared], 1)
        v = self.norm_visual(v[:, 0]).reshape(b, s, WIDTH)
        a = self.norm_audio(a[:, :2]).mean(1).reshape(b, s, WIDTH)
        return self.v_fc(v.mean(1)) + self.a_fc(a.mean(1)), self.v_fc(v) + self.a_fc(a)


def mart() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Mart(), (torch.rand(1, 2, 3, 16, 112, 112) * 255, torch.rand(1, 200, 128))
