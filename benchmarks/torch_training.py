"""Training steps in PyTorch: the networks of torch_networks.py with losses and optimizers.

``STEPS`` names functions that take the number of a step and train on its batch: forward, losses,
backward, and the optimizer's step, with the settings of the papers' recipes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention
from torch_networks import Attention, Gait, Sentiment, audio_trunk
from training_data import EMOTIONS, VOICES, gait_batch, sentiment_video, voice_batch

from trainers.losses.tsl_seeds import search_seeds


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def reversal() -> nn.Sequential:
    layers: list[nn.Module] = []
    for outputs in (2048, 2048, 2048, 512):
        layers += [nn.Conv1d(2048, outputs, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


class TrainedSentiment(Sentiment):
    """TSL-Net with all that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.back_a, self.back_v = reversal(), reversal()
        self.dropout = nn.Dropout(0.7)

    def supervised(self, rgb: Tensor, mel: Tensor) -> dict[str, Tensor]:
        b, t = mel.shape[:2]
        wide = torch.cat([mel.roll(1, 1), mel, mel.roll(-1, 1)], 2).reshape(b * t, 1, 96, 60)
        sound = self.sound(wide).reshape(b, t, 512).transpose(1, 2)
        visual = F.relu(self.align(rgb.transpose(1, 2)))
        features = F.relu(self.neck(torch.cat([visual, sound], 1)))
        heads = self.heads(self.dropout(features)).transpose(1, 2)
        scores = torch.sigmoid(heads[..., :3])
        top = heads[..., 3:].sort(1, descending=True)[0][:, : max(1, t // 8)].mean(1)
        fused = torch.cat([scores[..., :2] * (1 - scores[..., 2:]), scores[..., 2:]], 2)
        consistency = self.fit(sound, self.back_a(features))
        consistency = consistency + self.fit(visual, self.back_v(features))
        return {"fused": fused, "shares": torch.softmax(top[:, :2], 1), "consistency": consistency}

    @staticmethod
    def fit(feature: Tensor, back: Tensor) -> Tensor:
        a, b = F.normalize(feature.transpose(1, 2), dim=2), F.normalize(back.transpose(1, 2), dim=2)
        cosine = a @ b.transpose(1, 2)
        return (cosine.diagonal(dim1=1, dim2=2) - cosine.logsumexp(2)).mean()


def weighted(scores: Tensor, targets: Tensor, decided: Tensor, weights: Tensor) -> Tensor:
    focal = ((1 - scores) * decided + scores * (1 - decided)) ** 2
    return (weights * focal * F.binary_cross_entropy(scores, targets, reduction="none")).sum()


def sentiment_loss(outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    fused, points = outputs["fused"], batch["points"]
    seeds = search_seeds(fused[0].detach().numpy(), points[0].numpy())
    foreground, background = (torch.from_numpy(seed)[None] for seed in seeds)
    labels = F.pad(points, (0, 1))
    strongest = labels.max(2, keepdim=True)[0]
    nothing = torch.zeros_like(labels)
    nothing[..., 2] = 1
    video = F.kl_div(outputs["shares"].log(), batch["distribution"], reduction="mean")
    frame = weighted(fused, labels, labels, strongest) / strongest.sum()
    none = weighted(fused, nothing, nothing, background[..., None])
    some = weighted(fused, foreground, (foreground > 0.5).float(), foreground)
    unlabelled = none / background.sum() + 0.5 * some / foreground.max(2)[0].sum()
    return 2 * video + 0.5 * frame + 0.5 * unlabelled + outputs["consistency"]


def sentiment() -> Callable[[int], float]:
    network = TrainedSentiment()
    sound = {id(p) for p in network.sound.parameters()}
    groups = [
        {"params": [p for p in network.parameters() if id(p) in sound], "lr": 1e-4},
        {"params": [p for p in network.parameters() if id(p) not in sound]},
    ]
    optimizer = torch.optim.Adam(groups, lr=1e-5, weight_decay=5e-4)

    def step(number: int) -> float:
        optimizer.zero_grad()
        total = 0.0
        for batch in map(tensors, sentiment_video(number)):
            loss = sentiment_loss(network.supervised(batch["rgb"], batch["mel"]), batch)
            (loss / len(sentiment_video(number))).backward()
            total += loss.item()
        optimizer.step()
        return total

    return step


def gait() -> Callable[[int], float]:
    network = Gait()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3, nesterov=True
    )

    def step(number: int) -> float:
        batch = tensors(gait_batch(number))
        optimizer.zero_grad()
        posture, affective, movement = network(batch["posture"], batch["movement"])
        loss = (
            F.cross_entropy(posture, batch["classes"])
            + F.mse_loss(affective, batch["affective"])
            + F.cross_entropy(movement, batch["classes"])
        )
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class Voice(nn.Module):
    """VAANet's audio stream at the speech bundle's size: 3 pieces of 40 frames, 16 wide."""

    def __init__(self) -> None:
        super().__init__()
        # In this layout PyTorch's convolutions are faster.
        self.trunk = audio_trunk(16).to(memory_format=torch.channels_last)
        self.drop, self.embed, self.norm = nn.Dropout(0.2), nn.Linear(128, 64), nn.BatchNorm1d(64)
        self.time, self.fc = Attention(64, 3), nn.Linear(64, EMOTIONS)

    def forward(self, audio: Tensor) -> Tensor:
        pieces = self.trunk(audio.reshape(-1, 1, 40, 40)).mean((2, 3))
        pieces = self.embed(self.drop(pieces))
        with torch.no_grad():
            self.norm(pieces)
        voices = pieces.reshape(VOICES, -1, 64)
        centred = voices - voices.mean(1, keepdim=True)
        voices = centred / (centred.square().mean(1, keepdim=True) + self.norm.eps).sqrt()
        y = torch.tanh(voices.reshape(-1, 3, 64) * self.norm.weight + self.norm.bias)
        return self.fc((y * F.relu(self.time(y.transpose(1, 2)))[..., None]).mean(1))


def voice() -> Callable[[int], float]:
    network = Voice()
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3, weight_decay=1e-5)

    def step(number: int) -> float:
        batch = tensors(voice_batch(number))
        optimizer.zero_grad()
        weights = (batch["targets"] * batch["weights"]).sum(1)
        losses = F.cross_entropy(network(batch["audio"]), batch["targets"], reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


STEPS: dict[str, Callable[[], Callable[[int], float]]] = {
    "bpm-gcn": gait,
    "tsl-net": sentiment,
    "vaanet-audio": voice,
}
