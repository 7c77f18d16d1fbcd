"""The two streams of MART: a transformer on video tubelets and one on spectrogram patches.

The visual stream is VideoMAE's ViT-B/16 (Tong et al., NeurIPS 2022) with a class token; the sound
stream is AST (Gong et al., Interspeech 2021). Both take one snippet at a time; snippets are rows of
the batch and never see each other.
"""

from __future__ import annotations

from typing import Any

from jack_stream.models.layers import Conv2d, Conv3d, Module, constant
from jack_stream.models.layers.paths import path_for
from jack_stream.models.transformer import Block, LayerNorm, sinusoids
from jack_stream.runtime import jittor

__all__ = ["AudioTransformer", "PatchEmbed", "VideoTransformer"]

jt = jittor()
Var = Any

PATCH = 16
TUBELET = 2
AUDIO_STRIDE = 10


class PatchEmbed(Module):
    """A convolution whose outputs are tokens; parameter ``proj``."""

    def __init__(self, proj: Any) -> None:
        self.is_train = True
        self.proj = proj

    def execute(self, x: Var) -> Var:
        """[N, C, spatial...] -> [N, places, width], places in row-major order."""
        path = path_for(self)
        y = path.leave(path.convolution(path.enter(x), self.proj))
        return y.reshape(y.shape[0], y.shape[1], -1).transpose(0, 2, 1)


class VideoTransformer(Module):
    """Tubelets of 2 x 16 x 16 pixels, a class token, twelve blocks (``vid_model``).

    Args:
        frames: T of a clip, even.
        size: height and width of a clip in pixels, a multiple of 16.
        width: of the tokens.
        depth: number of blocks.
        heads: of the attention.
    """

    def __init__(self, frames: int, size: int, width: int, depth: int, heads: int) -> None:
        self.is_train = True
        self.tokens = (frames // TUBELET) * (size // PATCH) ** 2
        kernel = (TUBELET, PATCH, PATCH)
        self.cls_token = jt.zeros((1, 1, width))
        self.patch_embed = PatchEmbed(Conv3d(3, width, kernel, stride=kernel))
        self.blocks = jt.nn.Sequential(
            *(Block(width, heads, split_bias=True) for _ in range(depth))
        )
        self.fc_norm = LayerNorm(width)
        # The class token has the first position, the tubelets those after it.
        self._positions = constant(sinusoids(1 + self.tokens, width)[None])

    def embed(self, clips: Var) -> Var:
        """Normalised clips [N, 3, T, H, W] -> tokens [N, 1 + tokens, width], the class first."""
        patches = self.patch_embed(clips)
        n, _, width = patches.shape
        return jt.concat([self.cls_token.expand((n, 1, width)), patches], 1) + self._positions


class _AST(Module):
    """The vision transformer inside AST (``ast_model.v``)."""

    def __init__(self, patches: int, width: int, depth: int, heads: int) -> None:
        self.is_train = True
        self.cls_token = jt.zeros((1, 1, width))
        self.dist_token = jt.zeros((1, 1, width))
        self.pos_embed = jt.init.gauss((1, patches + 2, width), "float32", 0.0, 0.02)
        proj = Conv2d(1, width, PATCH, stride=AUDIO_STRIDE)
        self.patch_embed = PatchEmbed(proj)
        self.blocks = jt.nn.Sequential(
            *(Block(width, heads, split_bias=False) for _ in range(depth))
        )
        self.norm = LayerNorm(width)


class AudioTransformer(Module):
    """Patches of 16 x 16 at stride 10, a class and a distillation token (``ast_model``).

    Args:
        frames: of the spectrogram of one snippet.
        bands: of the spectrogram.
        width: of the tokens.
        depth: number of blocks.
        heads: of the attention.
    """

    def __init__(self, frames: int, bands: int, width: int, depth: int, heads: int) -> None:
        self.is_train = True
        steps = [(size - PATCH) // AUDIO_STRIDE + 1 for size in (bands, frames)]
        self.v = _AST(steps[0] * steps[1], width, depth, heads)

    def embed(self, spectrograms: Var) -> Var:
        """Spectrograms [N, frames, bands] -> tokens [N, 2 + patches, width]."""
        patches = self.v.patch_embed(spectrograms.transpose(0, 2, 1).unsqueeze(1))
        n, _, width = patches.shape
        extra = [token.expand((n, 1, width)) for token in (self.v.cls_token, self.v.dist_token)]
        return jt.concat([*extra, patches], 1) + self.v.pos_embed
