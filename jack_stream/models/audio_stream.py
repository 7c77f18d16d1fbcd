"""The audio stream that VAANet and CTEN have in common: a ResNet-18 on pieces of a spectrogram."""

from __future__ import annotations

from typing import Any

from jack_stream.models.layers import BatchNorm1d, Linear, path_for
from jack_stream.models.resnet import AudioResNet18
from jack_stream.runtime import jittor

__all__ = ["AudioEmbedding", "embed_pieces", "into_pieces"]

jt = jittor()
Var = Any


def AudioEmbedding(inputs: int, size: int) -> Any:  # noqa: N802 - makes a module, as a class would
    """The layers behind the ResNet: linear and batch normalisation (``a_fc`` of the authors)."""
    return jt.nn.Sequential(Linear(inputs, size), BatchNorm1d(size))


def into_pieces(audio: Var, pieces: int) -> Var:
    """[B, pieces * frames, bands] -> [B * pieces, frames, bands], sample by sample."""
    b, frames, bands = audio.shape
    return audio.reshape(b * pieces, frames // pieces, bands)


def embed_pieces(pieces: Var, resnet: AudioResNet18, embedding: Any) -> Var:
    """Spectrogram pieces [N, frames, bands] -> [N, size], values in -1..1."""
    linear, norm = embedding
    features = resnet.pooled(pieces.unsqueeze(1))
    return norm(path_for(resnet).linear(features, linear)).tanh()
