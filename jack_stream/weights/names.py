"""From the names in published checkpoints to the names of our models' weights.

Our models keep the authors' names, so that a method's own checkpoint needs nothing but the removal
of ``module.``. The rules here are for checkpoints of other projects that methods begin from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import BundleError

__all__ = ["IGNORED", "NameMap", "adapted", "architecture_of", "fitting_map", "is_ignored"]

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]

IGNORED = "num_batches_tracked"
"""PyTorch counts a batch-norm's batches; nothing that is computed depends on it."""

_DATA_PARALLEL = re.compile(r"(^|\.)(module|_orig_mod)\.")


@dataclass(frozen=True)
class NameMap:
    """How one kind of checkpoint is read for one method.

    Attributes:
        title: what kind of checkpoint it is.
        rules: (pattern, replacement) pairs, the first that matches the whole name counts; None
            leaves the entry out. Names that match none are kept.
    """

    title: str
    rules: tuple[tuple[str, str | None], ...] = ()

    def target(self, name: str) -> str | None:
        """The model's name for a checkpoint's entry, None if the entry is left out."""
        name = _DATA_PARALLEL.sub(r"\1", name)
        for pattern, replacement in self.rules:
            if match := re.fullmatch(pattern, name):
                return None if replacement is None else match.expand(replacement)
        return name


def _resnet(prefix: str, title: str, stem: str | None) -> NameMap:
    """A ResNet whose parts VAANet and CTEN keep in a numbered sequence."""
    numbered = [(rf"layer{n}\.(.*)", rf"{prefix}.{n + 3}.\1") for n in range(1, 5)]
    head = [(r"conv1\.(.*)", stem), (r"bn1\.(.*)", rf"{prefix}.1.\1"), (r"fc\..*", None)]
    return NameMap(title, (*head, *numbered))


_KINETICS = _resnet("resnet", "3D ResNet-101 of Kinetics", r"resnet.0.\1")
_IMAGENET = _resnet("a_resnet", "ResNet-18 of ImageNet (its first layer has another shape)", None)

# What MART's checkpoints hold beside the classifier: classifiers of sentiment and of other data
# sets, the text encoder, the contrast and the decoder of pre-training.
_MART_UNUSED = (
    (r"vit\.[av]_s_fc\..*", None),
    (r"vit\.ast_model\.(mlp_head|v\.head|v\.head_dist)\..*", None),
    (r"vit\.vid_model\.head\..*", None),
    (r"(lan_model|tacl|decoder_\w+)\..*|Vmask_token", None),
)
_MBT = r"((?:bottleneck|ast_model|vid_model|[av]_(?:s_)?fc)(?:\..*)?)"
_MART = (
    NameMap("MART", _MART_UNUSED),
    NameMap(
        "the bottleneck transformer of MART alone",
        (
            (r"[av]_s_fc\..*", None),
            (r"ast_model\.(mlp_head|v\.head|v\.head_dist)\..*", None),
            (r"vid_model\.head\..*", None),
            (_MBT, r"vit.\1"),
        ),
    ),
    NameMap(
        "AST",
        (
            (r"v\.(head|head_dist)\..*|mlp_head\..*", None),
            (r"(v\..*)", r"vit.ast_model.\1"),
        ),
    ),
    NameMap(
        "VideoMAE",
        (
            (r"head\..*|decoder.*|mask_token|encoder_to_decoder\..*", None),
            (r"(?:encoder\.)?((?:blocks|patch_embed)\..*)", r"vit.vid_model.\1"),
            (r"(?:encoder\.)?(?:fc_norm|norm)\.(.*)", r"vit.vid_model.fc_norm.\1"),
            (r"cls_token", r"vit.vid_model.cls_token"),
        ),
    ),
)
_MAPS: Mapping[str, tuple[NameMap, ...]] = {
    "vaanet": (NameMap("VAANet"), _KINETICS, _IMAGENET),
    "vaanet-audio": (NameMap("VAANet's audio stream"), _IMAGENET),
    "cten": (NameMap("CTEN"), _KINETICS, _IMAGENET),
    "mart": _MART,
}

# Method -> architecture argument -> the tensor whose first axis has that size.
_SIZES: Mapping[str, Mapping[str, str]] = {
    "vaanet": {
        "n_classes": "av_fc.weight",
        "seq_len": "ta_net.fc.weight",
        "audio_n_segments": "aa_net.fc.weight",
    },
    "vaanet-audio": {"n_classes": "fc.weight", "audio_n_segments": "aa_net.fc.weight"},
    "cten": {"n_classes": "fc.weight", "seq_len": "ta_net.fc.weight"},
    "bpm-gcn": {"n_classes": "fc1_classifier_p.weight"},
    "mart": {"n_classes": "vit.a_fc.weight"},
    "resnet3d-101": {"num_classes": "fc.weight"},
    "i3d": {"num_classes": "logits.conv3d.weight"},
}


def is_ignored(name: str) -> bool:
    """Whether an entry has no meaning for any model."""
    return name.endswith(IGNORED)


def fitting_map(method: str, found: Mapping[str, Array], expected: Shapes) -> NameMap:
    """The map under which most of a checkpoint's entries have a model's names and shapes."""

    def matches(candidate: NameMap) -> int:
        targets = ((candidate.target(name), value.shape) for name, value in found.items())
        return sum(expected.get(target or "") == shape for target, shape in targets)

    return max(_MAPS.get(method, (NameMap(method),)), key=matches)


def architecture_of(method: str, found: Mapping[str, Array]) -> dict[str, int]:
    """The sizes that a checkpoint of the method itself reveals (classes, segments).

    Only if all of them are there: a backbone's own classifier says nothing about the method.
    """
    maps = _MART[:2] if method == "mart" else (NameMap(method),)
    for candidate in maps:
        shapes = {candidate.target(name): value.shape for name, value in found.items()}
        wanted = _SIZES.get(method, {})
        if wanted and all(shapes.get(name) for name in wanted.values()):
            return {argument: int(shapes[name][0]) for argument, name in wanted.items()}
    return {}


def adapted(name: str, value: Array, shape: tuple[int, ...]) -> Array:
    """A tensor made to fit where the authors do so when they load it, otherwise as it is.

    AST's positions for ten seconds (12 x 101 patches) are cut to the middle of what a snippet needs
    (Gong et al., Interspeech 2021; ``ast_models.py`` of its release).
    """
    if not name.endswith("ast_model.v.pos_embed") or value.shape == shape:
        return value
    bands = 12
    times = [(size[1] - 2) / bands for size in (value.shape, shape)]
    if value.ndim != 3 or value.shape[2] != shape[2] or not times[1].is_integer():
        return value
    before, after = int(times[0]), int(times[1])
    if before * bands + 2 != value.shape[1] or before < after:
        raise BundleError(f"{name}: {list(value.shape)} can't be cut to {list(shape)}")
    grid = value[:, 2:].reshape(1, bands, before, -1)
    begin = before // 2 - after // 2
    cut = grid[:, :, begin : begin + after].reshape(1, bands * after, -1)
    return np.concatenate([value[:, :2], cut], 1)
