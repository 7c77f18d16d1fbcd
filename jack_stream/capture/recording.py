"""The file that a recording is: messages as they came, and when (docs/recordings.md)."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from jack_stream.closing import Closing
from jack_stream.errors import SourceError, UsageError
from jack_stream.wire.codec import MAX_PARTS_BYTES, Part

__all__ = ["RECORDING_VERSION", "RecordedMessage", "RecordingReader", "RecordingWriter"]

RECORDING_VERSION = 1
_MAGIC = b"JACKREC\x00"
_PREFIX = struct.Struct("<II")  # length of the body, CRC-32 of the body
_MAX_BODY = MAX_PARTS_BYTES + 2**20
_log = structlog.get_logger()


class _Header(msgspec.Struct):
    v: int
    started_at_ns: int


class RecordedMessage(msgspec.Struct, array_like=True, frozen=True):
    """A message.

    Attributes:
        arrived_at_ns: when it came, nanoseconds since the Unix epoch.
        parts: its ZeroMQ parts, unchanged.
    """

    arrived_at_ns: int
    parts: list[bytes]


class RecordingWriter(Closing):
    """Writes a recording that only its owner may read.

    Args:
        path: where to write; its folder must exist.
        started_at_ns: the time now.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the file exists and may not be replaced.
        SourceError: it can't be written.
    """

    def __init__(self, path: Path, *, started_at_ns: int, overwrite: bool = False) -> None:
        self.path = path
        self.bytes_written = 0
        self.messages = 0
        self._encoder = msgspec.msgpack.Encoder()
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        try:
            descriptor = os.open(path, flags, 0o600)
            os.fchmod(descriptor, 0o600)  # an older file's mode stays otherwise
        except FileExistsError as error:
            raise UsageError(
                f"{path} exists already", hint="Choose another name, or allow to overwrite it."
            ) from error
        except OSError as error:
            raise self._failure(error) from error
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._put(_MAGIC)
        self._put_body(self._encoder.encode(_Header(RECORDING_VERSION, started_at_ns)))

    def write(self, arrived_at_ns: int, parts: Sequence[Part]) -> None:
        """Add a message.

        Raises:
            SourceError: the disk is full, or failed.
        """
        views = [memoryview(part) for part in parts]
        self._put_body(self._encoder.encode((arrived_at_ns, views)))
        self.messages += 1

    def close(self) -> None:
        """Mark the recording as complete and close it."""
        if not self._file.closed:
            try:
                self._put(_PREFIX.pack(0, 0))
                self._file.close()
            except OSError as error:
                raise self._failure(error) from error

    def _put_body(self, body: bytes) -> None:
        self._put(_PREFIX.pack(len(body), zlib.crc32(body)))
        self._put(body)

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error
        self.bytes_written += len(data)

    def _failure(self, error: OSError) -> SourceError:
        return SourceError(
            f"the recording {self.path} can't be written: {error.strerror}",
            hint="Make room, or record to another place.",
        )


class RecordingReader(Closing):
    """Reads a recording from its beginning.

    Args:
        path: the file.

    Attributes:
        started_at_ns: when it was begun.
        messages: how many were read so far.
        complete: None until the end is reached; then whether it has all that was recorded.

    Raises:
        SourceError: it can't be read, is no recording, or is one of another version.
    """

    def __init__(self, path: Path) -> None:
        self.messages = 0
        self.complete: bool | None = None
        self._path = path
        self._decoder = msgspec.msgpack.Decoder(RecordedMessage)
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise SourceError(
                f"the recording {path} can't be read: {error.strerror}", hint="Check its path."
            ) from error
        try:
            self.started_at_ns = self._read_header().started_at_ns
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[RecordedMessage]:
        """Yield the messages up to the end, or to the last one before something damaged."""
        while True:
            prefix = self._file.read(_PREFIX.size)
            if prefix == _PREFIX.pack(0, 0):
                self.complete = True
                return
            body = self._read_body(prefix)
            try:
                message = self._decoder.decode(body) if body is not None else None
            except (msgspec.DecodeError, RecursionError):
                message = None
            if message is None:
                self.complete = False
                _log.warning(
                    "the recording is damaged or cut short; it ends here",
                    path=str(self._path),
                    messages=self.messages,
                )
                return
            self.messages += 1
            yield message

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_header(self) -> _Header:
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise SourceError(
                f"{self._path} is no recording", hint="`jack-stream record` writes them."
            )
        body = self._read_body(self._file.read(_PREFIX.size))
        try:
            header = msgspec.msgpack.decode(body or b"", type=_Header)
        except (msgspec.DecodeError, RecursionError) as error:
            raise SourceError(
                f"the header of the recording {self._path} is damaged", hint="Record again."
            ) from error
        if header.v != RECORDING_VERSION:
            raise SourceError(
                f"{self._path} is a recording of version {header.v};"
                f" this program reads version {RECORDING_VERSION}",
                hint="Use the version of jack-stream that wrote it.",
            )
        return header

    def _read_body(self, prefix: bytes) -> bytes | None:
        """The body that a prefix announces, or None if it isn't whole."""
        if len(prefix) < _PREFIX.size:
            return None
        length, checksum = _PREFIX.unpack(prefix)
        if not 0 < length <= _MAX_BODY:
            return None
        body = self._file.read(length)
        return body if len(body) == length and zlib.crc32(body) == checksum else None
