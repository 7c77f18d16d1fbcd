"""From a method's name to a model that takes and gives NumPy arrays.

One line in ``METHODS`` registers a method. Importing this module imports neither Jittor nor any
model: a method's module is imported when it is first created.

What a registered class must be (a Jittor module, its keyword arguments the architecture):

- ``input_spec``: name -> shape of every input, float32; letters are free axes.
- ``execute(**inputs)`` returns a dict of named Vars (the names of the table in docs/models.md).
- parameter names are those of the authors' state_dict.

Methods whose windows are made of items that are encoded independently of each other (snippets,
pieces of sound) have a streaming form besides, for a cache to stand between its halves:

- ``item_spec``: name -> shape of a batch of items, the first axis ``N``.
- ``encode(name, items)`` returns a dict of named Vars [N, ...].
- ``head(**features)`` takes these as [B, items of a window, ...] and returns what ``execute`` does.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.inputs import InputSpec, check_inputs, check_outputs
from jack_stream.models.labels import EMOTION_GAIT, TSL_300, VIDEO_EMOTION_8, default_labels
from jack_stream.models.unlocked import fetch

if TYPE_CHECKING:
    from jack_stream.weights.bundle import Bundle

__all__ = ["METHODS", "Method", "Model", "create", "load", "methods", "untrained"]

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """What is known of a method before anything of it is imported.

    Attributes:
        factory: ``module:class`` of the Jittor module.
        summary: one line for ``jack-stream models``.
        source: the paper.
        modalities: what must be streamed for it.
        labels: the classes of its usual data set, for weights that come without any.
    """

    factory: str
    summary: str
    source: str
    modalities: tuple[Literal["video", "audio", "pose", "text"], ...]
    labels: tuple[str, ...] = VIDEO_EMOTION_8


METHODS: dict[str, Method] = {
    "vaanet": Method(
        "jack_stream.models.vaanet:VAANet",
        "emotion of a video from picture and sound, by attention over space, channels and time",
        "Zhao et al., AAAI 2020",
        ("video", "audio"),
    ),
    "vaanet-audio": Method(
        "jack_stream.models.vaanet:VAANetAudio",
        "emotion of a voice or sound: VAANet's audio stream with its temporal attention",
        "Zhao et al., AAAI 2020",
        ("audio",),
    ),
    "cten": Method(
        "jack_stream.models.cten:CTEN",
        "emotion of a video by cross-modal attention, trained by temporal erasing",
        "Zhang et al., CVPR 2023",
        ("video", "audio"),
    ),
    "tsl-net": Method(
        "jack_stream.models.tsl_net:TSLNet",
        "where in a video the sentiment is positive or negative",
        "Zhang et al., ACM MM 2022",
        ("video", "audio"),
        TSL_300,
    ),
    "bpm-gcn": Method(
        "jack_stream.models.bpm_gcn:BPMGCN",
        "emotion of a walk from posture and movement",
        "Zhai et al., IEEE TAFFC 2024",
        ("pose",),
        EMOTION_GAIT,
    ),
    "mart": Method(
        "jack_stream.models.mart:MART",
        "emotion of a video by a masked multimodal transformer",
        "Zhang et al., CVPR 2024",
        ("video", "audio"),
    ),
    "resnet3d-101": Method(
        "jack_stream.models.resnet3d:ResNet3D",
        "Kinetics features of 16 frames (the backbone of vaanet and cten)",
        "Hara et al., CVPR 2018",
        ("video",),
        (),
    ),
    "i3d": Method(
        "jack_stream.models.i3d:I3D",
        "Kinetics features of 16 frames and more (the visual features of tsl-net)",
        "Carreira and Zisserman, CVPR 2017",
        ("video",),
        (),
    ),
}
"""Method name -> how to make it."""


class Model:
    """A method's network with its weights, behind NumPy arrays.

    Attributes:
        method: its name in ``METHODS``.
        architecture: the arguments it was made with.
        module: the Jittor module, in evaluation mode; its streaming parts are called on it.
        origin: the bundle that its weights came from, None where they are those of chance.
    """

    def __init__(
        self, method: str, architecture: Mapping[str, Any], module: Any, origin: Bundle | None
    ) -> None:
        self.method = method
        self.architecture = dict(architecture)
        self.module = module
        self.origin = origin
        module.eval()

    @property
    def trained(self) -> bool:
        """False for weights of chance: whatever shows their results must say so."""
        return self.origin is not None and self.origin.card.trained

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the logits."""
        if self.origin is not None and self.origin.card.labels:
            return tuple(self.origin.card.labels)
        usual = METHODS[self.method].labels
        count = self.architecture.get("n_classes", len(usual))
        return usual if count == len(usual) else default_labels(count)

    @property
    def input_spec(self) -> InputSpec:
        """Input name -> shape; letters are free axes; all are float32."""
        return self.module.input_spec

    @property
    def item_spec(self) -> InputSpec:
        """Input name -> shape of a batch of its items; empty without a streaming form."""
        return getattr(self.module, "item_spec", {})

    def infer(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """Run the whole network.

        Args:
            inputs: float arrays as ``input_spec`` names them.

        Returns:
            Output name -> float32 array, all values finite.

        Raises:
            ModelInputError: names, shapes, dtypes or values do not fit.
        """
        return self.run(self.module, check_inputs(self.method, self.input_spec, inputs))

    def encode(self, name: str, items: npt.NDArray[Any]) -> Arrays:
        """Encode items of one input, independently of each other.

        Args:
            name: an input of ``item_spec``.
            items: float array [N, ...] of the shape that stands there.

        Returns:
            Feature name -> float32 [N, ...]: what may be kept as long as the item is in a window.

        Raises:
            UsageError: the method has no streaming form, or no such input.
            ModelInputError: shape, dtype or values do not fit.
        """
        if name not in self.item_spec:
            known = ", ".join(self.item_spec) or "it has no streaming form"
            raise UsageError(f"{self.method} encodes no items of {name!r}: {known}")
        checked = check_inputs(self.method, {name: self.item_spec[name]}, {name: items})
        return self.run(lambda value: self.module.encode(name, value), {"value": checked[name]})

    def head(self, features: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """What ``infer`` returns, from the features of a window's items.

        Args:
            features: everything that ``encode`` returned for all inputs, float32 [B, items, ...] in
                the order of time.
        """
        return self.run(self.module.head, features)

    def run(self, function: Callable[..., Any], inputs: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """Run a part of the network.

        Args:
            function: takes a Jittor Var for each input, by name, and returns named Vars.
            inputs: what it takes.

        Returns:
            Output name -> float32 array, all values finite.

        Raises:
            ModelInputError: an output is not finite.
        """
        from jack_stream.runtime import jittor  # noqa: PLC0415 - the registry imports no Jittor

        jt = jittor()
        with jt.no_grad():
            outputs = function(**{name: jt.array(value) for name, value in inputs.items()})
            arrays = fetch(list(outputs.values()))
        results = dict(zip(outputs, arrays, strict=True))
        check_outputs(self.method, results)
        return results

    def set_weights(self, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the weights of an authors' state_dict; names and shapes must all fit."""
        from jack_stream.models.layers import set_weights  # noqa: PLC0415 - imports Jittor

        set_weights(self.module, dict(weights))

    def weights(self) -> Arrays:
        """The weights as float32 arrays under the authors' names."""
        from jack_stream.models.layers import get_weights  # noqa: PLC0415 - imports Jittor

        return get_weights(self.module)


def methods() -> tuple[str, ...]:
    """The names that ``create`` takes."""
    return tuple(METHODS)


def create(method: str, **architecture: Any) -> Model:
    """A model with the initial weights of its layers.

    Raises:
        UsageError: there is no such method, or it has no such architecture argument.
    """
    return Model(method, architecture, _module(method, architecture), None)


def untrained(method: str, seed: int = 0, **architecture: Any) -> Model:
    """A model with random weights that depend on nothing but the seed, to try a pipeline with.

    Its readings are noise: ``trained`` is False, and events and screens say "untrained".
    """
    model = create(method, **architecture)
    model.set_weights(
        {name: _random_weight(seed, name, value) for name, value in model.weights().items()}
    )
    return model


def load(bundle: str | Path) -> Model:
    """The model of a bundle, its tensors verified against the card's digest.

    Raises:
        BundleError: the bundle is missing or damaged, or its tensors do not fit its method.
    """
    from jack_stream.weights.bundle import read_bundle  # noqa: PLC0415 - weights uses models

    found = read_bundle(bundle)
    card = found.card
    model = Model(card.method, card.architecture, _module(card.method, card.architecture), found)
    model.set_weights(found.tensors)
    return model


def _module(method: str, architecture: Mapping[str, Any]) -> Any:
    if method not in METHODS:
        close = difflib.get_close_matches(method, METHODS, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            f"there is no method {method!r}", hint=f"{meant}there are {', '.join(METHODS)}"
        )
    path, _, name = METHODS[method].factory.partition(":")
    factory = getattr(importlib.import_module(path), name)
    signature = inspect.signature(factory)
    try:
        signature.bind(**architecture)
    except TypeError as error:
        raise UsageError(
            f"{method}: wrong architecture: {error}",
            hint=f"it takes {', '.join(signature.parameters)}",
        ) from None
    return factory(**architecture)


def _random_weight(
    seed: int, name: str, initial: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """What a layer begins with at random, drawn anew: LeCun-uniform, biases small.

    With He's larger bound a signal would grow a hundred thousand times in the 33 residual blocks
    of the video backbone, whose batch norms know nothing yet. What begins all alike (norms, gates,
    learned adjacencies) is left so.
    """
    alike = np.ptp(initial) == 0 if initial.size > 1 else initial.item() in (0.0, 1.0)
    if alike:
        return initial
    bound = np.sqrt(3.0 / initial[0].size) if initial.ndim > 1 else initial.size**-0.5
    rng = np.random.default_rng([seed, *name.encode()])
    values = rng.random(initial.shape, dtype=np.float32)
    return ((2.0 * values - 1.0) * np.float32(bound)).astype(np.float32)
