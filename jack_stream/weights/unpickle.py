"""Read a pickle as data: an interpreter of its opcodes that can call nothing.

Python's own unpickler imports what a file names and calls it. This one knows a fixed table of
names that checkpoints consist of (:mod:`jack_stream.weights.pickled`), gives each of them a
meaning in plain data, and refuses all others before they could do anything.
"""

from __future__ import annotations

import itertools
import pickletools
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, NoReturn

from jack_stream.errors import BundleError
from jack_stream.weights.pickled import (
    MEANINGS,
    NAMES,
    Name,
    NumpyArray,
    NumpyType,
    pairs,
    storage,
)

__all__ = ["read_pickle"]

MAX_OPCODES = 4_000_000
MAX_MADE = 64 << 20
"""Bytes and items, beyond those of the file, that calls may make: a text is not copied for ever."""


def read_pickle(stream: IO[bytes], source: str, size: int) -> Any:
    """Read one pickle as data; the stream is left behind its last byte.

    Args:
        stream: at the pickle's first byte.
        source: the file's name, for messages.
        size: of the file in bytes; what is made out of it stays in proportion.

    Returns:
        Nested dicts, lists, tuples, texts, numbers, :class:`StoredTensor` and
        :class:`NumpyArray`; objects of other kinds never.

    Raises:
        BundleError: the pickle names anything outside the table, is malformed, truncated or too
            large. Nothing that it names was imported or called.
    """
    machine = _Machine(source, size + MAX_MADE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # texts with escapes that Python doesn't know
            return machine.run(itertools.islice(pickletools.genops(stream), MAX_OPCODES))
    except (ValueError, TypeError, LookupError, OverflowError, struct.error, Warning) as error:
        # What an IndexError says is about our stack, not about the file.
        reason = f": {str(error)[:200]}" if isinstance(error, (ValueError, TypeError)) else ""
        raise BundleError(f"{source}: damaged, or no checkpoint{reason}") from error


class _Machine:
    """The pickle stack machine, for data only."""

    def __init__(self, source: str, budget: int) -> None:
        self._source = source
        self._budget = budget
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, operations: Iterable[tuple[pickletools.OpcodeInfo, Any, int | None]]) -> Any:
        for opcode, argument, _position in operations:
            if opcode.name == "STOP":
                return self.pop()
            self.step(opcode.name, argument)
        raise BundleError(f"{self._source}: more than {MAX_OPCODES} pickle operations")

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSH_ARGUMENT:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _HANDLERS:
            _HANDLERS[name](self, argument)
        elif name not in _IGNORED:
            self._refuse(f"uses the pickle operation {name}")

    def pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise ValueError("a mark where a value was expected")
        return self._stack.pop()

    def _refuse(self, what: str) -> NoReturn:
        raise BundleError(
            f"{self._source}: {what}, which checkpoints of weights have no need of; "
            "nothing of it was executed",
            hint="If you trust the file, open it in PyTorch and save model.state_dict() alone.",
        )

    def _pop_to_mark(self) -> list[Any]:
        begin = self._marks.pop()
        items = self._stack[begin:]
        del self._stack[begin:]
        return items

    def mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def pop_one(self, _: Any) -> None:
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self._stack.pop()

    def pop_mark(self, _: Any) -> None:
        self._pop_to_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def tuple_of(self, count: int) -> None:
        self._stack.append(tuple(reversed([self.pop() for _ in range(count)])))

    def collect_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def collect_list(self, _: Any) -> None:
        self._stack.append(self._pop_to_mark())

    def collect_dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set(items)

    def append(self, _: Any) -> None:
        item = self.pop()
        self._extend([item])

    def append_all(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def set_one(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def set_all(self, _: Any) -> None:
        self._set(self._pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError("items for something that is no list")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise TypeError("keys for something that is no dictionary")
        target.update(pairs(items[::2], items[1::2]))

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def name(self, argument: str) -> None:
        self._name(".".join(argument.split(" ")))

    def stack_name(self, _: Any) -> None:
        member, module = self.pop(), self.pop()
        if not isinstance(member, str) or not isinstance(module, str):
            raise TypeError("a name that is no text")
        self._name(f"{module}.{member}")

    def _name(self, path: str) -> None:
        if path not in NAMES:
            self._refuse(f"names {path[:120]!r}")
        self._stack.append(Name(path))

    def reduce(self, _: Any) -> None:
        arguments, callee = self.pop(), self.pop()
        if not isinstance(callee, Name) or callee.path not in MEANINGS:
            self._refuse(f"calls {getattr(callee, 'path', type(callee).__name__)!r}")
        if not isinstance(arguments, tuple):
            raise TypeError("arguments that are no tuple")
        result = MEANINGS[callee.path](*arguments)
        if isinstance(result, (bytes, list, dict)):
            self._count(len(result))
        elif isinstance(result, NumpyArray):
            self._count(len(result.data))
        self._stack.append(result)

    def build(self, _: Any) -> None:
        """Set an array's state; that of dictionaries (_metadata, a Namespace's) is left out."""
        state, target = self.pop(), self._stack[-1]
        if isinstance(target, (NumpyArray, NumpyType)):
            self._count(target.build(state))
        elif not isinstance(target, dict):
            self._refuse(f"sets the state of a {type(target).__name__}")

    def persistent(self, _: Any) -> None:
        self._stack.append(storage(*self.pop()))

    def _count(self, made: int) -> None:
        self._budget -= made
        if self._budget < 0:
            self._refuse("copies its own parts again and again")


_PUSH_ARGUMENT = frozenset(
    {
        *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_IGNORED = frozenset({"PROTO", "FRAME"})
_HANDLERS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop_one,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    "TUPLE": _Machine.collect_tuple,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": _Machine.collect_list,
    "FROZENSET": _Machine.collect_list,
    "DICT": _Machine.collect_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_all,
    "ADDITEMS": _Machine.append_all,
    "SETITEM": _Machine.set_one,
    "SETITEMS": _Machine.set_all,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
