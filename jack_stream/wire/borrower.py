"""The receiver's side of pictures that it looks at in the sender's memory.

A picture is an array that can't be written to. When it and all that was cut from it are gone, the
sender is told, and may use its place again; as long as they are there, it does not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import time
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from jack_stream.errors import WireError
from jack_stream.wire.codec import Part
from jack_stream.wire.lender import ADDRESS_BYTES, DESCRIPTOR, INLINE, INVITATION, LENT, RETURN
from jack_stream.wire.slots import SLOT_BYTES, SLOTS, look_into

__all__ = ["Borrower"]

_MAX_MEMORIES = 64
_KEPT_S = 1.0
_EVERYTHING = 2**64 - 1
_log = structlog.get_logger()


class _Memory:
    """A sender's memory. It is given back when no picture in it is looked at any more.

    Args:
        connection: to the sender, which this closes.
        slots: uint8 ``[SLOTS, SLOT_BYTES]``.
    """

    def __init__(self, connection: socket.socket, slots: NDArray[np.uint8]) -> None:
        self._connection = connection
        self._slots = slots
        self._last = 0
        self._untold: deque[bytes] = deque()
        self._gone_s: float | None = None
        weakref.finalize(self, connection.close).atexit = False

    def note(self, number: int) -> None:
        """Say, when a message has come, which ones before it were dropped on the way."""
        if number > self._last + 1:
            self._tell(self._last + 1, number - 1)
        self._last = max(self._last, number)

    def look(self, number: int, slot: int, size: int) -> Part:
        """A picture, whose place is the sender's again when nothing of it is left here.

        Raises:
            WireError: there is no such picture.
        """
        if not 0 <= slot < SLOTS or size > SLOT_BYTES:
            raise WireError(f"a memory has no slot {slot} with {size} bytes")
        picture = self._slots[slot, :size]
        weakref.finalize(picture, self._tell, number, number).atexit = False
        return picture.data

    def close(self) -> None:
        """Want no more pictures; those that are here stay."""
        self._tell(self._last + 1, _EVERYTHING)

    def has_ended(self) -> bool:
        """Whether the sender ended some time ago, so that all it sent has come."""
        if self._gone_s is None and _is_gone(self._connection):
            self._gone_s = time.monotonic()
        return self._gone_s is not None and time.monotonic() - self._gone_s > _KEPT_S

    def _tell(self, first: int, last: int) -> None:
        """Say which messages' pictures are not looked at any more, or never came."""
        self._untold.append(RETURN.pack(first, last))
        with contextlib.suppress(IndexError):  # another thread said it
            while self._untold:
                said = self._untold.popleft()
                try:
                    self._connection.send(said)
                except BlockingIOError:
                    self._untold.append(said)
                    return
                except OSError:
                    return  # the sender is gone


class Borrower:
    """Turns messages whose pictures are in their senders' memory into such as have them.

    Attributes:
        name: a sender is told it through its memory's socket and through ZeroMQ, and so sees that
            all who want its pictures can see them.
        topics: what to subscribe to, in this order and before the pictures.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(8).encode()
        self.topics = (LENT + b"frame.", INVITATION + self.name)
        self._asked: dict[bytes, socket.socket] = {}
        self._memories: dict[bytes, _Memory] = {}

    def resolve(self, parts: list[Part]) -> list[Part] | None:
        """A message as it would have come with its picture; None if it was for this alone.

        Raises:
            WireError: the message is malformed, or the memory is not to be had.
        """
        if self._asked:
            self._fetch()
        topic = bytes(parts[0])
        if topic.startswith(INVITATION):
            self._accept(bytes(parts[1]) if len(parts) == 2 else b"")
            return None
        return self._look(topic, parts) if topic.startswith(LENT) else parts

    def tend(self) -> None:
        """Get memory that was asked for, and give back that of senders that ended.

        For when there is nothing to receive: what an ended sender sent has come.
        """
        self._fetch()
        for address in [a for a, memory in self._memories.items() if memory.has_ended()]:
            del self._memories[address]

    def close(self) -> None:
        """Give back what is still on the way; what is looked at is given back when it is gone."""
        for memory in self._memories.values():
            memory.close()
        self._memories.clear()
        for connection in self._asked.values():
            connection.close()

    def _look(self, topic: bytes, parts: Sequence[Part]) -> list[Part]:
        try:
            address, number, slot, size = DESCRIPTOR.unpack(parts[2])
        except (IndexError, struct.error) as error:
            raise WireError("a lent picture without a descriptor") from error
        memory = self._memories.get(address)
        if memory is not None:
            memory.note(number)
        if slot == INLINE and len(parts) == 4:
            return [topic.removeprefix(LENT), parts[1], parts[3]]
        if memory is None:
            raise WireError("a picture is in a memory that is not known here")
        return [topic.removeprefix(LENT), parts[1], memory.look(number, slot, size)]

    def _accept(self, address: bytes) -> None:
        """Ask for a sender's memory; without it the pictures come as they always do."""
        if len(address) != ADDRESS_BYTES or len(self._asked) + len(self._memories) >= _MAX_MEMORIES:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(b"\0" + address)
        except OSError as error:
            connection.close()
            _log.info("pictures come through the socket", cause=error.strerror)
        else:
            self._asked[address] = connection

    def _fetch(self) -> None:
        """Map the memory that has come, and say so: only then is anything lent."""
        for address, connection in list(self._asked.items()):
            try:
                slots = _received(connection)
                connection.send(self.name)
            except BlockingIOError:
                continue
            except OSError as error:
                connection.close()
                _log.info("pictures come through the socket", cause=str(error))
            else:
                self._memories[address] = _Memory(connection, slots)
            del self._asked[address]


def _received(connection: socket.socket) -> NDArray[np.uint8]:
    """The memory that came through a connection.

    Raises:
        BlockingIOError: it has not come yet.
        OSError: it won't, or is not as it should be.
    """
    _, descriptors, _, _ = socket.recv_fds(connection, ADDRESS_BYTES, 1)
    try:
        if not descriptors:
            raise OSError("their sender does not lend them")
        return look_into(descriptors[0])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _is_gone(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
