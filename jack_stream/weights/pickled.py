"""What the names in a checkpoint's pickle mean here: plain data, never the things themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEANINGS", "NAMES", "Name", "NumpyArray", "NumpyType", "Storage", "StoredTensor"]

MAX_RANK = 8

#: torch's storage classes -> the type names of jack_stream.weights.tensors
STORAGES: Mapping[str, str] = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}

_NUMPY_TYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"})


@dataclass(frozen=True)
class Name:
    """A module's member that the file names; it is never imported."""

    path: str


@dataclass(frozen=True)
class Storage:
    """A run of values that the file keeps outside the pickle.

    Attributes:
        key: its name in the file.
        type_name: safetensors type name of the values.
        numel: how many.
        first: where the run begins inside the storage (old views), in values.
    """

    key: str
    type_name: str
    numel: int
    first: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor's place in its storage; offsets and strides count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class NumpyType:
    """A NumPy dtype while it is being read."""

    code: str
    order: str = "<"

    def build(self, state: Any) -> int:
        """Take the byte order from the dtype's pickled state; nothing is copied."""
        order = state[1]
        if not isinstance(order, str) or order not in "<>|=":
            raise ValueError("an unknown byte order")
        self.order = ">" if order == ">" else "<"
        return 0


@dataclass
class NumpyArray:
    """A NumPy array (or scalar) that the pickle itself carries."""

    shape: tuple[int, ...] = (0,)
    type: NumpyType = field(default_factory=lambda: NumpyType("f4"))
    column_major: bool = False
    data: bytes = b""

    def build(self, state: Any) -> int:
        """Take the array's pickled state; returns how many bytes were copied."""
        _version, shape, type_, column_major, data = state
        raw = data.encode("latin-1") if isinstance(data, str) else data  # Python 2 wrote texts
        if not isinstance(type_, NumpyType) or not isinstance(raw, bytes):
            raise TypeError("a NumPy array of something else than numbers")
        count = 1
        for size in sizes(shape):
            count *= size
        if count * int(type_.code[1:]) != len(raw):
            raise ValueError(f"{len(raw)} bytes for a NumPy array of {count} values")
        self.shape, self.type, self.data = sizes(shape), type_, raw
        self.column_major = bool(column_major)
        return 0 if raw is data else len(raw)

    def decoded(self) -> NDArray[Any]:
        """The array as it was saved."""
        flat = np.frombuffer(self.data, np.dtype(self.type.order + self.type.code))
        return flat.reshape(self.shape, order="F" if self.column_major else "C")


def pairs(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    """A dictionary with keys of plain types (hashing deeply nested tuples overflows C's stack)."""
    for key in keys:
        if not isinstance(key, (str, int, float, bytes, type(None))):
            raise TypeError(f"a dictionary key of type {type(key).__name__}")
    return dict(zip(keys, values, strict=True))


def sizes(values: Any) -> tuple[int, ...]:
    """A shape (or strides): at most eight whole numbers that are not negative."""
    if not isinstance(values, (tuple, list)) or len(values) > MAX_RANK:
        raise ValueError(f"a shape is a tuple of at most {MAX_RANK} sizes")
    if not all(isinstance(value, int) and 0 <= value < 1 << 62 for value in values):
        raise ValueError("a size is a whole number of at least 0")
    return tuple(values)


def storage(kind: Any, type_: Any, key: Any, _place: Any, numel: Any, view: Any = None) -> Storage:
    """The meaning of a persistent entry, the tuple that torch writes for each storage."""
    member = type_.path.rpartition(".")[2] if isinstance(type_, Name) else ""
    if kind != "storage" or not isinstance(key, str) or member not in STORAGES:
        raise ValueError("a persistent entry that is no tensor storage of a known type")
    (count,) = sizes([numel])
    first = 0 if view is None else sizes(view[1:])[0]
    return Storage(key, STORAGES[member], count, first)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    (first,) = sizes([offset])
    lengths, steps = sizes(shape), sizes(strides)
    if len(lengths) != len(steps):
        raise ValueError("a tensor with more strides than sizes, or fewer")
    return StoredTensor(storage, first, lengths, steps)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return pairs([item[0] for item in items], [item[1] for item in items])


def _empty_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _reconstruct(class_: Any, *_: Any) -> dict[Any, Any]:
    if not isinstance(class_, Name) or class_.path != "argparse.Namespace":
        raise ValueError("an object of a class that is not allowed")
    return {}


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes out of something else than latin-1 text")
    return text.encode("latin-1")


def _set(items: Any = ()) -> list[Any]:
    return list(items)


def _device(*_: Any) -> str:
    return "device"


def _array(*_: Any) -> NumpyArray:
    return NumpyArray()


def _scalar(type_: Any, data: Any) -> NumpyArray:
    array = NumpyArray()
    array.build((1, (), type_, False, data))
    return array


def _from_buffer(data: Any, type_: Any, shape: Any, order: Any) -> NumpyArray:
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError("a NumPy array out of something else than bytes")
    array = NumpyArray()
    array.build((1, shape, type_, order == "F", bytes(data)))
    return array


def _numpy_type(code: Any, *_: Any) -> NumpyType:
    if not isinstance(code, str) or code not in _NUMPY_TYPES:
        raise ValueError("a NumPy type that is no number")
    return NumpyType(code)


MEANINGS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Size": sizes,
    "torch.device": _device,
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": _empty_dict,
    "argparse.Namespace": _empty_dict,
    "copyreg._reconstructor": _reconstruct,
    "copy_reg._reconstructor": _reconstruct,
    "__builtin__.set": _set,
    "builtins.set": _set,
    "_codecs.encode": _bytes,
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
}
"""Names that may be called, and what is done instead."""

NAMES = frozenset(
    {
        *MEANINGS,
        *(f"{module}.{name}" for module in ("torch", "torch.cuda") for name in STORAGES),
        *(f"torch.{name}" for name in ("float16", "float32", "float64", "bfloat16", "int64")),
        *(
            f"{module}.{name}"
            for module in ("builtins", "__builtin__")
            for name in ("object", "dict")
        ),
        "numpy.ndarray",
    }
)
"""Names that may stand in a file at all."""
