"""A bundle of weights on disk: tensors and card, verified before anything uses them.

Two forms of the same thing, with the same digest:

- a directory with ``model.safetensors`` and ``card.toml``;
- one ``.safetensors`` file whose metadata carries the card's TOML under ``jack_card``.

A safetensors file was chosen over an archive because it has one header to check, nothing in it can
point outside, nothing expands, and every other tool that reads safetensors reads it as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import BundleError
from jack_stream.weights.card import MAX_CARD_BYTES, Card, TensorRecord, dump_card, parse_card
from jack_stream.weights.tensors import (
    StoredTensors,
    digest_of,
    parse_tensors,
    read_all,
    save_tensors,
)

__all__ = ["Bundle", "encode_tensors", "read_bundle", "read_card", "write_bundle"]

TENSORS_FILE = "model.safetensors"
CARD_FILE = "card.toml"
CARD_KEY = "jack_card"
SINGLE_FILE_SUFFIX = ".safetensors"

_TYPE_NAMES = {
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Attributes:
        card: what the tensors are.
        tensors: name -> array; floating ones are float32 whatever the file stores.
        digest: SHA-256 of the tensors, 64 hexadecimal digits.
        path: where it was read from.
    """

    card: Card
    tensors: Mapping[str, NDArray[Any]]
    digest: str
    path: Path


def read_bundle(path: Path | str) -> Bundle:
    """Read and verify a bundle.

    Args:
        path: a directory or a ``.safetensors`` file.

    Raises:
        BundleError: something is missing, malformed, over a limit, not finite, or differs from the
            card's digest. The message names file and key.
    """
    path = Path(path).expanduser()
    stored, card, source = _read_parts(path)
    record = card.tensors
    if record is None:
        raise BundleError(f"{source}: tensors: is missing", hint="Was the card written by hand?")
    digest = digest_of(stored.arrays, stored.types)
    if digest != record.sha256:
        raise BundleError(
            f"{path}: the tensors are not those of the card: SHA-256 {digest}, "
            f"but tensors.sha256 = {record.sha256}",
            hint="The file is damaged or was exchanged; fetch the bundle again.",
        )
    found = TensorRecord(sha256=digest, count=len(stored.arrays), parameters=_size(stored.arrays))
    if found != record:
        raise BundleError(f"{source}: tensors: the card says {record}, the file has {found}")
    return Bundle(card, stored.decoded(str(path)), digest, path)


def read_card(path: Path | str) -> Card:
    """A bundle's card, without verifying the tensors (for listings)."""
    path = Path(path).expanduser()
    if path.is_dir():
        return _read_card_file(path / CARD_FILE)
    return _read_parts(path)[1]


def write_bundle(
    path: Path | str,
    card: Card,
    tensors: Mapping[str, NDArray[Any]],
    *,
    storage: Literal["float32", "float16"] = "float32",
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle, whole or not at all.

    Args:
        path: ends with ``.safetensors`` for one file; anything else is a directory.
        card: its ``tensors`` table is filled in here.
        tensors: name -> array, float32/float64/integers/booleans.
        storage: how floating values are stored; float16 halves the file and costs precision.
        overwrite: replace what is at ``path``.

    Returns:
        The bundle as a reader will get it (with rounded values where ``storage`` is float16).

    Raises:
        BundleError: the target exists, can't be written, or a value can't be stored.
    """
    path = Path(path).expanduser()
    _refuse_to_replace(path, overwrite=overwrite)
    stored = encode_tensors(tensors, storage)
    types = {name: _TYPE_NAMES[array.dtype.name] for name, array in stored.items()}
    digest = digest_of(stored, types)
    record = TensorRecord(sha256=digest, count=len(stored), parameters=_size(stored))
    card = Card.model_validate(card.model_copy(update={"tensors": record}).model_dump())
    decoded = StoredTensors({}, stored, types).decoded(str(path))
    try:
        _write(path, dump_card(card), stored)
    except OSError as error:
        raise BundleError(f"{path}: can't be written: {error}") from error
    return Bundle(card, decoded, digest, path)


def encode_tensors(
    tensors: Mapping[str, NDArray[Any]], storage: Literal["float32", "float16"]
) -> dict[str, NDArray[Any]]:
    """The arrays as they are stored: contiguous, floating ones as ``storage``.

    Raises:
        BundleError: a type that a bundle can't hold, or a value beyond the range of ``storage``.
    """
    encoded = {}
    for name, array in tensors.items():
        value = np.asarray(array)
        if value.dtype.kind == "f":
            with np.errstate(over="ignore"):
                value = value.astype(storage)
            if not np.isfinite(value).all():
                raise BundleError(f"tensor {name!r}: a value is not finite in {storage}")
        if value.dtype.name not in _TYPE_NAMES:
            raise BundleError(f"tensor {name!r}: type {value.dtype} can't be stored in a bundle")
        encoded[name] = np.require(value, requirements="C")
    return encoded


def _read_parts(path: Path) -> tuple[StoredTensors, Card, str]:
    if path.is_dir():
        card = _read_card_file(path / CARD_FILE)
        tensors_file = path / TENSORS_FILE
        return parse_tensors(read_all(tensors_file), str(tensors_file)), card, f"{path / CARD_FILE}"
    if not path.exists():
        raise BundleError(f"{path}: no such bundle", hint="A bundle is a directory or one file.")
    stored = parse_tensors(read_all(path.resolve()), str(path))
    if CARD_KEY not in stored.metadata:
        raise BundleError(
            f"{path}: has no card (metadata key {CARD_KEY!r})",
            hint="Plain weights become a bundle with `jack-stream weights import`.",
        )
    return stored, parse_card(stored.metadata[CARD_KEY], str(path)), str(path)


def _read_card_file(path: Path) -> Card:
    try:
        text = read_all(path, MAX_CARD_BYTES).tobytes().decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not UTF-8 text: {error}") from error
    return parse_card(text, str(path))


def _write(path: Path, card: str, stored: Mapping[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        made = Path(scratch) / "new"
        if path.suffix == SINGLE_FILE_SUFFIX:
            save_tensors(made, stored, {"format": "pt", CARD_KEY: card})
        else:
            made.mkdir()
            save_tensors(made / TENSORS_FILE, stored, {"format": "pt"})
            (made / CARD_FILE).write_text(card, encoding="utf-8")
        if path.is_dir() or (path.exists() and made.is_dir()):
            path.replace(Path(scratch) / "old")
        made.replace(path)


def _refuse_to_replace(path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise BundleError(f"{path}: exists already", hint="Give another name or allow overwriting.")
    if path.is_dir() and not (path / CARD_FILE).is_file():
        raise BundleError(f"{path}: a directory that is no bundle is not overwritten")


def _size(arrays: Mapping[str, NDArray[Any]]) -> int:
    return sum(array.size for array in arrays.values())
