"""Memory for pictures that other processes may look at.

It has no name anywhere, so the kernel takes it back with the last process that has it, however that
ends, and it can't be reached but through a process that hands it out.
"""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np
from numpy.typing import NDArray

from jack_stream.closing import Closing
from jack_stream.wire.codec import Part

__all__ = ["SLOTS", "SLOT_BYTES", "Slots", "look_into"]

SLOTS = 16
SLOT_BYTES = 32 * 1024 * 1024
"""The place of a slot; only what pictures have filled takes memory. A 4K RGB frame has 25 MB."""
_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h
_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL


class Slots(Closing):
    """Places for pictures, each with the number of those who use it; for one thread at a time.

    Others can neither write to the memory nor change its size.

    Raises:
        OSError: the kernel gives no such memory.

    Attributes:
        descriptor: of the memory.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("jack-stream", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, SLOTS * SLOT_BYTES)
            mapped = mmap.mmap(self.descriptor, SLOTS * SLOT_BYTES)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(self.descriptor)
            raise
        self._places = np.frombuffer(mapped, np.uint8).reshape(SLOTS, SLOT_BYTES)
        self._users = [0] * SLOTS

    @property
    def full(self) -> bool:
        """Whether all slots are in use."""
        return 0 not in self._users

    def put(self, picture: Part) -> int:
        """Copy a picture into a slot that nobody uses; the caller is its first user."""
        slot = self._users.index(0)  # the first one is the likeliest to be in a cache
        self._places[slot, : len(picture)] = np.frombuffer(picture, np.uint8)
        self._users[slot] = 1
        return slot

    def share(self, slot: int) -> None:
        """Count one user more."""
        self._users[slot] += 1

    def free(self, slot: int) -> None:
        """Count one user less."""
        self._users[slot] -= 1

    def close(self) -> None:
        """Give the memory up; others keep what they have."""
        os.close(self.descriptor)


def look_into(descriptor: int) -> NDArray[np.uint8]:
    """Another process's slots, uint8 ``[SLOTS, SLOT_BYTES]``, to be read only.

    Raises:
        OSError: it is no such memory: it could change its size, or has another one.
    """
    seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    if not seals & fcntl.F_SEAL_SHRINK or os.fstat(descriptor).st_size != SLOTS * SLOT_BYTES:
        raise OSError("it may change its size, or has another one")
    mapped = mmap.mmap(descriptor, SLOTS * SLOT_BYTES, prot=mmap.PROT_READ)
    return np.frombuffer(mapped, np.uint8).reshape(SLOTS, SLOT_BYTES)
