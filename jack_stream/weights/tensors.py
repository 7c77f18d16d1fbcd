"""Tensors in a safetensors file: read with limits, checked, hashed.

The format (8 bytes of header length, a JSON header, the values) is read here and not by the
safetensors package, because its NumPy side has no bfloat16 and none of the limits below.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from jack_stream.errors import BundleError

__all__ = [
    "StoredTensors",
    "digest_of",
    "open_regular",
    "parse_tensors",
    "read_all",
    "save_tensors",
]

Array = NDArray[Any]

MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 20_000
MAX_RANK = 8
MAX_NAME = 512

#: safetensors type name -> how its bytes are read. BF16 is widened after reading.
STORED_TYPES: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True)
class StoredTensors:
    """A parsed safetensors file: views of its bytes, nothing converted yet.

    Attributes:
        metadata: the header's ``__metadata__``.
        arrays: name -> array as stored (BF16 as uint16).
        types: name -> safetensors type name.
    """

    metadata: Mapping[str, str]
    arrays: Mapping[str, Array]
    types: Mapping[str, str]

    def decoded(self, source: str) -> dict[str, Array]:
        """All tensors, floating ones as float32, others as stored.

        Raises:
            BundleError: a value is not finite, or does not fit float32.
        """
        return {name: _decode(a, self.types[name], name, source) for name, a in self.arrays.items()}


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def open_regular(path: Path) -> int:
    """Open a regular file for reading; a symbolic link, a pipe or a device is refused.

    Returns:
        A file descriptor, the caller's to close.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such file", hint="Is the path a bundle?") from error
    except OSError as error:
        link = " (symbolic links inside a bundle are not followed)" if path.is_symlink() else ""
        raise BundleError(f"{path}: can't be opened: {error.strerror}{link}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{path}: not a regular file")
    return descriptor


def read_all(path: Path, max_bytes: int | None = None) -> NDArray[np.uint8]:
    """A regular file's bytes, uint8 [size], read once so that what is verified is what is used."""
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if max_bytes is not None and size > max_bytes:
            raise BundleError(f"{path}: {size} bytes; at most {max_bytes} are read")
        return np.fromfile(file, np.uint8)


def parse_tensors(data: NDArray[np.uint8], source: str) -> StoredTensors:
    """Take a safetensors file apart.

    Args:
        data: the whole file, uint8 [size].
        source: its name, for messages.

    Raises:
        BundleError: truncated, over a limit, an unknown type, or values that overlap or leave gaps.
    """
    entries, metadata, begin = _header(data, source)
    if len(entries) > MAX_TENSORS:
        raise BundleError(f"{source}: {len(entries)} tensors; at most {MAX_TENSORS} are read")
    body = data[begin:]
    arrays: dict[str, Array] = {}
    types: dict[str, str] = {}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        arrays[name] = _view(body, name, entry, end, source)
        types[name] = entry.dtype
        end = entry.data_offsets[1]
    if end != body.size:
        raise BundleError(f"{source}: {body.size - end} bytes after the last tensor")
    return StoredTensors(metadata, arrays, types)


def save_tensors(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file with the permissions that any new file gets here.

    The library's own are 0600, which would lock a service out that runs as another user.
    """
    path.touch()
    permissions = stat.S_IMODE(path.stat().st_mode)
    contiguous = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    save_file(contiguous, path, dict(metadata))
    path.chmod(permissions)


def digest_of(arrays: Mapping[str, Array], types: Mapping[str, str]) -> str:
    """SHA-256 over every tensor's name, type, shape and stored bytes, in the order of names.

    It does not depend on the container, so a bundle keeps it as a directory and as one file.
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        shape = ",".join(map(str, arrays[name].shape))
        sha.update(f"{name}\0{types[name]}\0{shape}\0".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def _header(data: NDArray[np.uint8], source: str) -> tuple[dict[str, _Entry], dict[str, str], int]:
    if data.size < 8:
        raise BundleError(f"{source}: {data.size} bytes are too few for a safetensors file")
    size = int.from_bytes(data[:8].tobytes(), "little")
    if size > MAX_HEADER_BYTES or size > data.size - 8:
        raise BundleError(
            f"{source}: a header of {size} bytes in a file of {data.size}; not a safetensors file, "
            "or a truncated one"
        )
    text = data[8 : 8 + size].tobytes()
    try:
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(raw.pop("__metadata__", b"{}"), type=dict[str, str])
        entries = {name: msgspec.json.decode(part, type=_Entry) for name, part in raw.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{source}: the header is no safetensors header: {error}") from error
    return entries, metadata, 8 + size


def _view(body: NDArray[np.uint8], name: str, entry: _Entry, begin: int, source: str) -> Array:
    where = f"{source}: tensor {name[:80]!r}"
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BundleError(f"{where}: a name has 1 to {MAX_NAME} printable characters")
    dtype = STORED_TYPES.get(entry.dtype)
    if dtype is None:
        known = ", ".join(STORED_TYPES)
        raise BundleError(f"{where}: type {entry.dtype[:20]!r} is none of {known}")
    if len(entry.shape) > MAX_RANK or min(entry.shape, default=0) < 0:
        raise BundleError(f"{where}: shape {entry.shape[:MAX_RANK]}: at most {MAX_RANK} sizes >= 0")
    count = 1
    for size in entry.shape:
        count *= size
    first, last = entry.data_offsets
    if first != begin or last - first != count * dtype.itemsize or last > body.size:
        raise BundleError(
            f"{where}: bytes {first} to {last} don't fit shape {entry.shape} of {entry.dtype} "
            f"at {begin} of {body.size}",
            hint="The file is truncated or was altered; fetch it again.",
        )
    array = body[first:last].view(dtype).reshape(entry.shape)
    if entry.dtype == "BOOL" and body[first:last].max(initial=0) > 1:
        raise BundleError(f"{where}: a boolean is neither 0 nor 1")
    return array


def _decode(array: Array, stored: str, name: str, source: str) -> Array:
    if stored == "BF16":
        values = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = np.require(array, np.float32, ["C", "A"])
    else:
        return np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise BundleError(
            f"{source}: tensor {name!r}: {bad} of {values.size} values are not finite in float32",
            hint="The training diverged or the file is damaged; use another checkpoint.",
        )
    return values
