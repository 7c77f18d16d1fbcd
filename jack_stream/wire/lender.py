"""The sender's side of pictures that receivers on this machine look at in its memory.

A receiver gets the memory through a Unix socket, through which it also says when it is done with
a picture. A slot is written again when all who were lent it have said so, or are gone
(docs/wire-protocol.md, "Pictures in shared memory").
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import struct
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from jack_stream.closing import Closing
from jack_stream.wire.codec import Part
from jack_stream.wire.slots import Slots

__all__ = ["ADDRESS_BYTES", "DESCRIPTOR", "INLINE", "INVITATION", "LENT", "RETURN", "Lender"]

INVITATION = b"memory."
"""A receiver subscribes to this and its name, and is sent the address of the memory under it."""
LENT = b"slot."
"""Stands before the topic of a message whose picture is in the memory."""
ADDRESS_BYTES = 16
DESCRIPTOR = struct.Struct(f"<{ADDRESS_BYTES}sQiI")
"""Address of the memory, number of the message, slot (or INLINE), bytes of the picture."""
INLINE = -1
RETURN = struct.Struct("<QQ")
"""First and last of the messages that a receiver is done with."""
_MAX_BORROWERS = 64
_MAX_NAME = 64
_PEER = struct.Struct("iII")  # struct ucred: process, user, group


@dataclass
class _Borrower:
    """A receiver that has the memory.

    Attributes:
        connection: to it.
        name: empty until it has said it, once it had the memory.
        lent: number of a message -> the slot that it is looking at because of it.
    """

    connection: socket.socket
    name: bytes = b""
    lent: dict[int, int] = field(default_factory=dict)


class Lender(Closing):
    """Lends pictures to the receivers that can see them so; for one thread at a time.

    Raises:
        OSError: the kernel gives no memory or socket for it.

    Attributes:
        address: where receivers get the memory: a name in the abstract namespace of Unix sockets.
    """

    def __init__(self) -> None:
        self.address = secrets.token_bytes(ADDRESS_BYTES)
        self._number = 0
        self._waits = True
        self._borrowers: dict[int, _Borrower] = {}
        self._invited: set[bytes] = set()
        with ExitStack() as opened:
            self._slots = opened.enter_context(Slots())
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(self._listener)
            self._listener.setblocking(False)
            self._listener.bind(b"\0" + self.address)
            self._listener.listen()
            self._poll = opened.enter_context(select.epoll())
            self._poll.register(self._listener, select.EPOLLIN)
            self._opened = opened.pop_all()

    def invite(self, names: AbstractSet[bytes], has_sent: Callable[[Sequence[Part]], bool]) -> None:
        """Tell those receivers that want the memory and don't know of it where it is."""
        self._invited &= names
        for name in names - self._invited - self.names:
            if has_sent([INVITATION + name, self.address]):
                self._invited.add(name)

    @property
    def names(self) -> AbstractSet[bytes]:
        """The receivers that have the memory."""
        return {one.name for one in self._borrowers.values() if one.name}

    def tend(self, timeout_s: float = 0.0) -> None:
        """Let receivers in, take back what they are done with, and forget those that are gone."""
        for descriptor, _ in self._poll.poll(timeout_s):
            if descriptor == self._listener.fileno():
                self._let_in()
            else:
                self._hear(self._borrowers[descriptor])

    def put(self, picture: Part, patience_s: float) -> int | None:
        """Copy a picture into a slot that nobody looks at.

        Args:
            picture: at most :data:`~jack_stream.wire.slots.SLOT_BYTES`.
            patience_s: how long to wait for a slot; once this was in vain, it does not wait until
                some picture was given back.

        Returns:
            the slot, to be given to :meth:`lent` and then :meth:`sent`, or to :meth:`free`; None
            if all are being looked at.
        """
        if self._slots.full and self._waits and patience_s:
            self.tend(patience_s)
            self._waits = not self._slots.full
        return None if self._slots.full else self._slots.put(picture)

    def lent(self, parts: Sequence[Part], slot: int | None) -> list[Part]:
        """The message with the picture in the slot, or with it as it is if there is none."""
        topic, header, picture = parts
        where = INLINE if slot is None else slot
        descriptor = DESCRIPTOR.pack(self.address, self._number + 1, where, len(picture))
        lent: list[Part] = [LENT + bytes(topic), header, descriptor]
        return lent if slot is not None else [*lent, picture]

    def sent(self, slot: int | None, names: AbstractSet[bytes]) -> None:
        """Note that the message that :meth:`lent` made is on its way to those receivers."""
        self._number += 1
        if slot is not None:
            for one in self._borrowers.values():
                if one.name in names:
                    one.lent[self._number] = slot
                    self._slots.share(slot)
            self._slots.free(slot)

    def free(self, slot: int) -> None:
        """Take back a slot whose picture was not sent."""
        self._slots.free(slot)

    def close(self) -> None:
        """Lend no more; receivers keep what is on the way to them and what they have."""
        for one in self._borrowers.values():
            one.connection.close()
        self._borrowers.clear()
        self._opened.close()

    def _let_in(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it went again
            return
        connection.setblocking(False)
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, user, _ = _PEER.unpack(peer)
        one = self._borrowers[connection.fileno()] = _Borrower(connection)
        self._poll.register(connection, select.EPOLLIN)
        if user != os.geteuid() or len(self._borrowers) > _MAX_BORROWERS:
            self._forget(one)
            return
        try:
            socket.send_fds(connection, [self.address], [self._slots.descriptor])
        except OSError:
            self._forget(one)

    def _hear(self, one: _Borrower) -> None:
        """Read all that a receiver said: first its name, then what it is done with."""
        with suppress(BlockingIOError):
            while said := _heard(one.connection):
                if not one.name and len(said) <= _MAX_NAME:
                    one.name = said
                elif one.name and len(said) == RETURN.size:
                    self._take_back(one, *RETURN.unpack(said))
                else:
                    break
            self._forget(one)

    def _take_back(self, one: _Borrower, first: int, last: int) -> None:
        for number in [number for number in one.lent if first <= number <= last]:
            self._slots.free(one.lent.pop(number))
            self._waits = True

    def _forget(self, one: _Borrower) -> None:
        self._take_back(one, 0, self._number)
        self._poll.unregister(one.connection)
        del self._borrowers[one.connection.fileno()]
        one.connection.close()


def _heard(connection: socket.socket) -> bytes:
    """The next packet; an empty one where the other end is gone."""
    try:
        return connection.recv(_MAX_NAME + 1)
    except ConnectionError:
        return b""
