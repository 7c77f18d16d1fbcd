"""Write a checkpoint that ``torch.load(weights_only=True)`` reads, without PyTorch.

The file is the zip archive of torch 1.6 and later: ``data.pkl`` describes a dictionary of tensors,
``data/<n>`` has the values of each. The pickle is written here opcode by opcode.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import BundleError

__all__ = ["write_checkpoint"]

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


def write_checkpoint(path: Path | str, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write ``{"state_dict": tensors}``.

    Args:
        path: the file to make; one that exists is replaced.
        tensors: name -> array.

    Raises:
        BundleError: an array's type has no counterpart in torch, or the file can't be written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("archive/data.pkl", _pickle(arrays))
            archive.writestr("archive/byteorder", b"little")
            for index, array in enumerate(arrays.values()):
                little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                archive.writestr(f"archive/data/{index}", little.tobytes())
            archive.writestr("archive/version", b"3\n")
    except OSError as error:
        raise BundleError(f"{path}: can't be written: {error}") from error


def _pickle(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Protocol 2: ``{"state_dict": {name: _rebuild_tensor_v2(...), ...}}``."""
    parts = [b"\x80\x02", b"}", _text("state_dict"), b"}", b"("]
    for index, (name, array) in enumerate(arrays.items()):
        parts += [_text(name), _tensor(index, array)]
    return b"".join([*parts, b"u", b"s", b"."])


def _tensor(index: int, array: NDArray[Any]) -> bytes:
    storage = _STORAGES.get(array.dtype.name)
    if storage is None:
        raise BundleError(f"type {array.dtype} has no counterpart in torch")
    strides = tuple(step // array.itemsize for step in array.strides) if array.size else array.shape
    return b"".join(
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"((",
            _text("storage"),
            f"ctorch\n{storage}\n".encode(),
            _text(str(index)),
            _text("cpu"),
            _integer(array.size),
            b"tQ",  # the storage, as a persistent entry
            _integer(0),
            _integers(array.shape),
            _integers(strides),
            b"\x89",  # requires no gradient
            b"ccollections\nOrderedDict\n)R",  # no backward hooks
            b"tR",
        ]
    )


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_integer, values)) + b"t"
