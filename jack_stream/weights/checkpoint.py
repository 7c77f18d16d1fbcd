"""Read PyTorch checkpoints without PyTorch and without executing what is in them.

Forms: the zip archive of torch 1.6 and later, the stream of pickles and storages that torch
wrote before, a plain pickle of NumPy arrays, and safetensors. Only ``jack-stream weights import``
uses this module; the inference path reads bundles.
"""

from __future__ import annotations

import io
import mmap
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import BundleError
from jack_stream.weights.pickled import NumpyArray, Storage, StoredTensor
from jack_stream.weights.tensors import (
    MAX_TENSORS,
    STORED_TYPES,
    StoredTensors,
    open_regular,
    parse_tensors,
    read_all,
)
from jack_stream.weights.unpickle import read_pickle

__all__ = ["Checkpoint", "read_checkpoint"]

Array = NDArray[Any]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_PICKLE_BYTES = 256 << 20
MAX_ZIP_ENTRIES = 100_000
MAX_NESTING = 4
MAX_GROWTH = 4
"""Tensors may share storages, but all of them together are at most so many times the file."""

STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")

_NUMPY_NAMES = {dtype: name for name, dtype in STORED_TYPES.items() if name != "BF16"}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint.

    Attributes:
        tensors: name -> array; floating ones as float32.
        form: ``zip``, ``legacy``, ``pickle`` or ``safetensors``.
        entry: the keys under which the state dict was found, joined by dots; may be empty.
    """

    tensors: dict[str, Array]
    form: str
    entry: str


@dataclass(frozen=True)
class _Contents:
    form: str
    root: Any
    storage: Callable[[Storage], Array]
    size: int


def read_checkpoint(path: Path | str, entry: str | None = None) -> Checkpoint:
    """Read a checkpoint's state dict.

    Args:
        path: the file; a symbolic link to it is followed.
        entry: the key (dotted where nested) of the state dict; by default the usual ones.

    Raises:
        BundleError: the file is none of the forms, damaged, over a limit, names anything that is
            no plain data, or has no state dict.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise BundleError(f"{path}: no such checkpoint")
    with os.fdopen(open_regular(path.resolve()), "rb") as file:
        start = file.read(10)
        if len(start) < 10:
            raise BundleError(f"{path}: {len(start)} bytes are no checkpoint")
        if start[8:9] == b"{":
            stored = parse_tensors(read_all(path.resolve()), str(path))
            return Checkpoint(stored.decoded(str(path)), "safetensors", "")
        file.seek(0)
        if start[:2] == b"PK":
            return _read_zip(file, str(path), entry)
        return _read_stream(file, str(path), entry)


def _read_zip(file: IO[bytes], source: str, entry: str | None) -> Checkpoint:
    try:
        with zipfile.ZipFile(file) as archive:
            return _collect(_open_zip(archive, source), source, entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BundleError(
            f"{source}: a damaged archive: {error}", hint="Fetch the file again."
        ) from error
    except (ValueError, KeyError, OverflowError) as error:  # zipfile lets these out on odd headers
        raise BundleError(f"{source}: a damaged archive: {str(error)[:200]}") from error


def _open_zip(archive: zipfile.ZipFile, source: str) -> _Contents:
    members = {info.filename: info for info in archive.infolist()}
    roots = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(roots) != 1 or len(members) > MAX_ZIP_ENTRIES:
        raise BundleError(f"{source}: an archive with {len(roots)} data.pkl is no checkpoint")
    prefix = roots[0].removesuffix("data.pkl")
    size = os.fstat(cast("IO[bytes]", archive.fp).fileno()).st_size

    def member(name: str, limit: int) -> bytes:
        info = members.get(prefix + name)
        if info is None:
            raise BundleError(f"{source}: the archive has no {name!r}")
        if info.compress_type != zipfile.ZIP_STORED or not info.file_size <= min(limit, size):
            raise BundleError(
                f"{source}: {name!r} is compressed or too large; torch stores plainly"
            )
        return archive.read(info)

    order = member("byteorder", 16) if prefix + "byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise BundleError(f"{source}: byte order {order!r} is neither 'little' nor 'big'")

    read: dict[str, bytes] = {}

    def storage(wanted: Storage) -> Array:
        dtype = STORED_TYPES[wanted.type_name].newbyteorder(">" if order == b"big" else "<")
        if wanted.key not in read:
            read[wanted.key] = member(f"data/{wanted.key}", size)
        data = read[wanted.key]
        if len(data) < wanted.numel * dtype.itemsize:
            raise BundleError(f"{source}: storage {wanted.key!r} is shorter than the pickle says")
        return np.frombuffer(data, dtype, wanted.numel)

    pickled = member("data.pkl", MAX_PICKLE_BYTES)
    root = read_pickle(io.BytesIO(pickled), f"{source}: data.pkl", len(pickled))
    return _Contents("zip", root, storage, size)


def _read_stream(file: IO[bytes], source: str, entry: str | None) -> Checkpoint:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        first = _next_pickle(memory, source)
        if first == LEGACY_MAGIC and isinstance(first, int):
            return _collect(_open_legacy(memory, source), source, entry)
        if not isinstance(first, dict):
            raise BundleError(f"{source}: the pickle is no dictionary, and so no checkpoint")
        return _collect(_Contents("pickle", first, _no_storage, len(memory)), source, entry)


def _open_legacy(memory: mmap.mmap, source: str) -> _Contents:
    version, system = _next_pickle(memory, source), _next_pickle(memory, source)
    little = system.get("little_endian") if isinstance(system, dict) else None
    if version != LEGACY_PROTOCOL or not isinstance(little, bool):
        raise BundleError(f"{source}: a legacy checkpoint of an unknown version")
    root, keys = _next_pickle(memory, source), _next_pickle(memory, source)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise BundleError(f"{source}: a legacy checkpoint without its list of storages")
    types = {s.key: s.type_name for s in _storages(root)}
    arrays: dict[str, Array] = {}
    place = memory.tell()
    for key in keys:
        if key not in types:
            raise BundleError(f"{source}: storage {key[:40]!r} belongs to no tensor")
        dtype = STORED_TYPES[types[key]].newbyteorder("<" if little else ">")
        count = int.from_bytes(memory[place : place + 8], "little" if little else "big")
        begin, place = place + 8, place + 8 + count * dtype.itemsize
        if place > len(memory):
            raise BundleError(f"{source}: truncated: storage {key[:40]!r} ends behind the file")
        arrays[key] = np.frombuffer(memory[begin:place], dtype)

    def storage(wanted: Storage) -> Array:
        if wanted.key not in arrays:
            raise BundleError(f"{source}: storage {wanted.key[:40]!r} is missing")
        return arrays[wanted.key]

    return _Contents("legacy", root, storage, len(memory))


def _next_pickle(memory: mmap.mmap, source: str) -> Any:
    return read_pickle(cast("IO[bytes]", memory), source, len(memory))


def _no_storage(wanted: Storage) -> Array:
    raise BundleError(f"a plain pickle has no storages, but storage {wanted.key[:40]!r} is named")


def _storages(root: Any) -> list[Storage]:
    """Every storage that is named anywhere, each container visited once."""
    found, seen, todo = [], set(), [root]
    while todo:
        item = todo.pop()
        if isinstance(item, StoredTensor):
            found.append(item.storage)
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            todo.extend(item.values() if isinstance(item, dict) else item)
    return found


def _collect(contents: _Contents, source: str, entry: str | None) -> Checkpoint:
    state, where = _state_dict(contents.root, source, entry)
    if len(state) > MAX_TENSORS:
        raise BundleError(f"{source}: {len(state)} tensors; at most {MAX_TENSORS} are read")
    arrays: dict[str, Array] = {}
    types: dict[str, str] = {}
    total = 0
    for name, value in state.items():
        array, types[name] = _resolve(value, contents.storage, f"{source}: tensor {name[:80]!r}")
        total += array.nbytes
        if total > MAX_GROWTH * contents.size:
            raise BundleError(f"{source}: its tensors share storages too often to be believed")
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return Checkpoint(StoredTensors({}, arrays, types).decoded(source), contents.form, where)


def _resolve(
    value: StoredTensor | NumpyArray, storage: Callable[[Storage], Array], where: str
) -> tuple[Array, str]:
    if isinstance(value, NumpyArray):
        array = value.decoded()
        return array, _NUMPY_NAMES[array.dtype.newbyteorder("<")]
    flat = storage(value.storage)
    begin = value.storage.first + value.offset
    count, last = 1, begin
    for size, stride in zip(value.shape, value.strides, strict=True):
        count *= size
        last += (size - 1) * stride
    if count == 0:
        return np.zeros(value.shape, flat.dtype), value.storage.type_name
    if last >= flat.size or count > flat.size:
        raise BundleError(
            f"{where}: shape {value.shape} with strides {value.strides} at {begin} leaves its "
            f"storage of {flat.size} values"
        )
    steps = [stride * flat.itemsize for stride in value.strides]
    return np.lib.stride_tricks.as_strided(
        flat[begin:], value.shape, steps
    ), value.storage.type_name


def _state_dict(
    root: Any, source: str, entry: str | None
) -> tuple[Mapping[str, StoredTensor | NumpyArray], str]:
    """The dictionary of tensors and the keys that lead to it."""
    keys: list[str] = []
    if entry:
        for key in entry.split("."):
            if not isinstance(root, dict) or key not in root:
                raise BundleError(f"{source}: has no entry {entry!r}", hint=_listing(root))
            root = root[key]
            keys.append(key)
    for _ in range(MAX_NESTING):
        inner = _inner_key(root)
        if inner is None:
            break
        root = root[inner]
        keys.append(inner)
    tensors = _tensors_of(root)
    if not tensors:
        raise BundleError(f"{source}: no state dict was found", hint=_listing(root))
    return tensors, ".".join(keys)


def _inner_key(root: Any) -> str | None:
    """The key under which the state dict lies, None where it is this dictionary or none."""
    if not isinstance(root, dict):
        return None
    holders = {key for key, value in root.items() if isinstance(key, str) and _holds(value)}
    for key in STATE_KEYS:
        if key in holders:
            return key
    return holders.pop() if len(holders) == 1 and not _tensors_of(root) else None


def _holds(value: Any) -> bool:
    """Whether a value is a dictionary of tensors, or has one under one of the usual keys."""
    for _ in range(MAX_NESTING):
        if _tensors_of(value):
            return True
        if not isinstance(value, dict):
            return False
        value = next((value[key] for key in STATE_KEYS if isinstance(value.get(key), dict)), None)
    return False


def _tensors_of(value: Any) -> dict[str, StoredTensor | NumpyArray]:
    if not isinstance(value, dict):
        return {}
    return {
        key: item
        for key, item in value.items()
        if isinstance(key, str) and isinstance(item, (StoredTensor, NumpyArray))
    }


def _listing(value: Any) -> str:
    if not isinstance(value, dict):
        return "There is no dictionary there."
    keys = ", ".join(repr(key)[:40] for key in list(value)[:12])
    return f"The keys there are {keys}; name one with --entry."
