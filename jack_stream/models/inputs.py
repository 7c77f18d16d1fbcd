"""The check at a model's door: names, dtypes, shapes and finite values, in NumPy.

It stands in NumPy because Jittor's kernels are built with fast-math: there a ``clamp`` turns NaN
into its bound and ``max`` skips it, so that nonsense would go in and a reading come out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError

__all__ = ["InputSpec", "Shape", "check_inputs", "check_outputs", "describe"]

Shape = tuple[int | str, ...]
"""One entry per axis: a number that must be met, or a letter that must mean the same everywhere."""

InputSpec = Mapping[str, Shape]
"""Input name -> shape; all inputs are float32."""

Array = npt.NDArray[np.float32]


def describe(shape: Shape) -> str:
    """A shape as it is printed in messages, e.g. ``[B, 10, 3, 16, 112, 112]``."""
    return "[" + ", ".join(str(axis) for axis in shape) + "]"


def check_inputs(
    method: str, spec: InputSpec, inputs: Mapping[str, npt.NDArray[np.generic]]
) -> dict[str, Array]:
    """The inputs as contiguous float32 arrays, or an error that says what is wrong with them.

    Args:
        method: the model's name, for the message.
        spec: what the model takes.
        inputs: what it was given; float16, float32 and float64 are taken, and nothing else,
            because an integer array is most often pixels or samples without their preprocessing.

    Raises:
        ModelInputError: names, dtypes, shapes or values do not fit.
    """
    if missing := [name for name in spec if name not in inputs]:
        raise ModelInputError(f"{method}: the input {missing[0]!r} is missing", hint=_wanted(spec))
    if unknown := [name for name in inputs if name not in spec]:
        raise ModelInputError(f"{method}: there is no input {unknown[0]!r}", hint=_wanted(spec))
    for name, shape in spec.items():
        _check_form(method, name, shape, inputs[name], _wanted(spec))
    _check_free_axes(method, spec, inputs)
    return {name: _finite(method, name, inputs[name]) for name in spec}


def check_outputs(method: str, outputs: Mapping[str, Array]) -> None:
    """Stop non-finite results here, so that no event is ever made of them.

    Raises:
        ModelInputError: an output has a NaN or an infinity: the inputs were finite, so they were
            out of the range that the method is made for, or the weights are damaged.
    """
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise ModelInputError(
                f"{method}: the output {name!r} is not finite although all inputs are",
                hint="inputs far outside their range, or damaged weights: `jack-stream weights"
                " verify` checks the bundle",
            )


def _check_form(
    method: str, name: str, shape: Shape, value: npt.NDArray[np.generic], hint: str
) -> None:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        found = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise ModelInputError(
            f"{method}: the input {name!r} must be a float32 array, but is {found}", hint=hint
        )
    fits = len(value.shape) == len(shape) and all(
        size > 0 and (isinstance(axis, str) or axis == size)
        for axis, size in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ModelInputError(
            f"{method}: the input {name!r} must have the shape {describe(shape)},"
            f" but has {describe(value.shape)}",
            hint=hint,
        )


def _check_free_axes(
    method: str, spec: InputSpec, inputs: Mapping[str, npt.NDArray[np.generic]]
) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for name, shape in spec.items():
        for axis, size in zip(shape, inputs[name].shape, strict=True):
            first, where = sizes.setdefault(str(axis), (size, name))
            if first != size:
                raise ModelInputError(
                    f"{method}: {axis} is {first} in the input {where!r} but {size} in {name!r}",
                    hint=_wanted(spec),
                )


def _finite(method: str, name: str, value: npt.NDArray[np.generic]) -> Array:
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is found
        array = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ModelInputError(
            f"{method}: the input {name!r} has the value {array[bad]} at {describe(bad)}",
            hint="all inputs must be finite",
        )
    return array


def _wanted(spec: InputSpec) -> str:
    return "it takes " + ", ".join(f"{name} {describe(shape)}" for name, shape in spec.items())
