"""The authors' weights, inputs and outputs, rebuilt from the recipes in ../shared/golden.

golden = Golden(shared, "resnet3d")
model.load(golden.weights())
actual = model(golden.input("visual"))
assert_close(actual, golden.outputs["logits"], WHOLE_NETWORK)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Acceptance limits of ../shared/golden/README.md on max |difference| / max |golden|.
HEAD = 2e-5
WHOLE_NETWORK = 1e-4


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _random(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.random.default_rng(_seed(name)).random(shape)


def uniform(
    name: str, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0
) -> npt.NDArray[np.float32]:
    """float32 values in low..high that depend on the name alone."""
    return (low + (high - low) * _random(name, shape)).astype(np.float32)


def integers(name: str, shape: tuple[int, ...], n: int) -> npt.NDArray[np.int64]:
    """int64 values in 0..n-1."""
    return np.asarray(_random(name, shape) * n, np.int64)


def clip_pixels(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """float32 pixels 0..255 [..., T, H, W]; T is a multiple of 4, H and W of 16."""
    *lead, t, h, w = shape
    coarse = _random(f"{name}/coarse", (*lead, t // 4, h // 16, w // 16))
    coarse = coarse.repeat(4, -3).repeat(16, -2).repeat(16, -1)
    amplitude = 0.1 + 0.9 * _random(f"{name}/amp", (*lead, 1, 1, 1))
    pixels = 255.999 * amplitude * (0.75 * coarse + 0.25 * _random(name, shape))
    return np.asarray(np.floor(pixels), np.float32)


def coarse_plane(
    name: str, shape: tuple[int, int, int], cell: tuple[int, int], low: float, high: float
) -> npt.NDArray[np.float32]:
    """float32 [B, T, F] in low..high that is nearly constant within cells of size (t, f)."""
    b, t, f = shape
    coarse = _random(f"{name}/coarse", (b, t // cell[0], f // cell[1]))
    coarse = coarse.repeat(cell[0], 1).repeat(cell[1], 2)
    return (low + (high - low) * (0.7 * coarse + 0.3 * _random(name, shape))).astype(np.float32)


# What the recipes of the inputs may call. They are expressions over these names and nothing else.
_RECIPE_NAMES: dict[str, Any] = {
    "uniform": uniform,
    "integers": integers,
    "clip_pixels": clip_pixels,
    "coarse_plane": coarse_plane,
}


class Golden:
    """One golden file family: ``NAME.state.json``, ``NAME.npz``, ``NAME.taps.json``, ``NAME.json``.

    Args:
        shared: the folder of reference data (the ``shared`` fixture).
        name: such as ``vaanet_small`` or ``blocks_cten.mha``.
        outputs: the stem of the npz where it is not ``name`` (``blocks_cten``, ``i3d_odd``).
    """

    def __init__(self, shared: Path, name: str, *, outputs: str = "") -> None:
        self._folder = shared / "golden"
        self.name = name
        self._outputs_name = outputs or name

    @cached_property
    def state(self) -> dict[str, Any]:
        """The whole ``state.json``: entries, inputs, constructor arguments."""
        loaded: dict[str, Any] = self.json(".state.json")
        return loaded

    @cached_property
    def outputs(self) -> dict[str, Array]:
        """Every array of the npz."""
        with np.load(self._folder / f"{self._outputs_name}.npz") as file:
            return {key: file[key] for key in file.files}

    @cached_property
    def taps(self) -> list[dict[str, Any]]:
        """Per inner module: module, shape, mean, std, absmax, at (flat indices), values (there)."""
        loaded: list[dict[str, Any]] = self.json(".taps.json")
        return loaded

    def json(self, suffix: str = ".json") -> Any:
        """The parsed file ``NAME + suffix``."""
        return json.loads((self._folder / f"{self.name}{suffix}").read_text())

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights under the authors' names, without those that keep their initial value."""
        rebuilt = {}
        for entry in self.state["entries"]:
            if entry["fill"] == "unchanged":
                continue
            name, fill = entry["name"], entry["fill"]
            value = uniform(name, tuple(entry["shape"]), fill["lo"], fill["hi"])
            np.testing.assert_allclose(
                value.flat[0], entry["check"]["first"], rtol=1e-6, atol=1e-8, err_msg=name
            )
            rebuilt[name] = value
        return rebuilt

    def input(self, name: str) -> npt.NDArray[np.float32]:
        """The input of that name, from the recipe in ``state.json``, as contiguous float32."""
        recipe = self.state["inputs"][name]
        value = eval(recipe, {"__builtins__": {}}, _RECIPE_NAMES)  # noqa: S307 - our own reference file
        return np.ascontiguousarray(value, np.float32)


def assert_close(actual: Array, golden: Array, limit: float, what: str = "") -> None:
    """Fail unless max |actual - golden| <= limit * max |golden| and the shapes agree."""
    actual, golden = np.asarray(actual), np.asarray(golden)
    assert actual.shape == golden.shape, f"{what}: shape {actual.shape}, expected {golden.shape}"
    difference = np.abs(actual.astype(np.float64) - golden.astype(np.float64))
    scale = float(np.abs(golden).max())
    ratio = float(difference.max()) / (scale or 1.0)
    assert ratio <= limit, (
        f"{what}: off by {ratio:.3g} of the largest value {scale:.4g}, limit {limit:.1g}"
    )


def assert_tap(actual: Array, tap: Mapping[str, Any], limit: float) -> None:
    """Fail unless an inner module's output has the sampled values and the statistics of a tap."""
    actual = np.asarray(actual)
    assert list(actual.shape) == tap["shape"], f"{tap['module']}: shape {actual.shape}"
    scale = tap["absmax"] or 1.0
    sampled = np.abs(actual.reshape(-1)[tap["at"]] - np.asarray(tap["values"])).max() / scale
    assert sampled <= limit, f"{tap['module']}: sampled values are off by {sampled:.3g}"
    for key, value in (("mean", actual.mean(dtype=np.float64)), ("absmax", np.abs(actual).max())):
        off = abs(float(value) - tap[key]) / scale
        assert off <= limit, f"{tap['module']}: {key} is off by {off:.3g}"
