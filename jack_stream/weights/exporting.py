"""Weights out of a bundle, in forms that other programs load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from jack_stream.errors import BundleError, UsageError
from jack_stream.weights.tensors import save_tensors
from jack_stream.weights.torchfile import write_checkpoint

__all__ = ["export_tensors"]


def export_tensors(
    tensors: Mapping[str, NDArray[Any]], out: Path, *, overwrite: bool = False
) -> None:
    """Write tensors for PyTorch.

    Args:
        tensors: name -> array.
        out: ``.pth`` or ``.pt`` for ``torch.load(weights_only=True)["state_dict"]``;
            ``.safetensors`` for any reader of that format.
        overwrite: replace a file that is there.

    Raises:
        UsageError: another suffix.
        BundleError: the file exists or can't be written.
    """
    if out.suffix not in (".pth", ".pt", ".safetensors"):
        raise UsageError(f"{out}: the name must end with .pth, .pt or .safetensors")
    if out.exists() and not overwrite:
        raise BundleError(f"{out}: exists already", hint="Give another name or --overwrite.")
    if out.suffix != ".safetensors":
        write_checkpoint(out, tensors)
        return
    try:
        save_tensors(out, tensors, {"format": "pt"})
    except OSError as error:
        raise BundleError(f"{out}: can't be written: {error}") from error
