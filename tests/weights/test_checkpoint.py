"""Checkpoints are read as data: nothing in them runs, and damage is always a BundleError."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jack_stream.errors import BundleError
from jack_stream.weights.checkpoint import read_checkpoint
from jack_stream.weights.torchfile import write_checkpoint
from jack_stream.weights.unpickle import read_pickle


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "a.weight": rng.normal(size=(4, 3, 2)).astype(np.float32),
        "a.count": np.array(3, np.int64),
        "b.mask": np.array([[True], [False]]),
        "empty": np.zeros((0, 3), np.float32),
    }


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].shape == value.shape


def zip_of(data: bytes, storages: dict[str, bytes] | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("x/data.pkl", data)
        for key, value in (storages or {}).items():
            archive.writestr(f"x/data/{key}", value)
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(
    numel: int, shape: bytes, strides: bytes, offset: bytes = b"K\0", key: str = "0"
) -> bytes:
    """The opcodes of one float tensor; ``shape`` and ``strides`` are opcodes as well."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + (text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu"))
        + (b"J" + struct.pack("<i", numel) + b"tQ" + offset + shape + strides)
        + b"\x89NtR"
    )


def state_of(*tensors_: bytes) -> bytes:
    items = b"".join(text(f"t{index}") + value for index, value in enumerate(tensors_))
    return b"\x80\x02}(" + items + b"u."


def test_what_is_written_is_read(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    write_checkpoint(tmp_path / "a.pth", tensors)
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert_equal(checkpoint.tensors, tensors)
    assert (checkpoint.form, checkpoint.entry) == ("zip", "state_dict")


def test_big_endian_storages(tmp_path: Path) -> None:
    data = state_of(tensor(2, b"(K\2t", b"(K\1t"))
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/byteorder", "big")
        archive.writestr("x/data/0", struct.pack(">ff", 1.5, -2.0))
    found = read_checkpoint(tmp_path / "a.pth").tensors["t0"]
    np.testing.assert_array_equal(found, np.array([1.5, -2.0], np.float32))


def test_views_of_one_storage(tmp_path: Path) -> None:
    data = state_of(
        tensor(6, b"(K\3K\2t", b"(K\1K\3t"),
        tensor(6, b"(K\2t", b"(K\2t", b"K\1"),
        tensor(6, b"(t", b"(t", b"K\5"),
    )
    values = np.arange(6, dtype=np.float32)
    (tmp_path / "a.pth").write_bytes(zip_of(data, {"0": values.tobytes()}))
    assert_equal(
        read_checkpoint(tmp_path / "a.pth").tensors,
        {"t0": values.reshape(2, 3).T, "t1": values[[1, 3]], "t2": values[5]},
    )


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_plain_pickle_of_arrays(tmp_path: Path, protocol: int) -> None:
    """What Jittor's own save writes (its checksum behind the pickle included)."""
    tensors = OrderedDict(
        a=np.arange(6, dtype=np.float32).reshape(2, 3),
        b=np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        c=np.float64(0.5),
        d=np.arange(3, dtype=">i4"),
    )
    content = {"epoch": 3, "best": np.float32(0.7), "model": tensors, "args": {"lr": 0.1}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol) + b"HCAJSLHD" + bytes(20))
    checkpoint = read_checkpoint(tmp_path / "a.pkl")
    assert_equal(checkpoint.tensors, {k: np.asarray(v) for k, v in tensors.items()})
    assert (checkpoint.form, checkpoint.entry) == ("pickle", "model")


def test_the_usual_entries_win_over_stray_arrays(tmp_path: Path) -> None:
    inner = {"w": np.zeros(2, np.float32)}
    cases: list[tuple[dict[str, Any], str | None, str]] = [
        ({"loss": np.float32(1), "state_dict": inner}, None, "state_dict"),
        ({"model": {"state_dict": inner}}, None, "model.state_dict"),
        ({"ema": {"w": np.ones(2, np.float32)}, "net": inner}, None, "net"),
        ({"generator": inner, "opt": {"lr": 1}}, None, "generator"),
        ({"a": inner, "b": inner}, "b", "b"),
    ]
    for content, entry, where in cases:
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
        checkpoint = read_checkpoint(tmp_path / "a.pkl", entry)
        assert checkpoint.entry == where
        assert set(checkpoint.tensors) == {"w"}
        np.testing.assert_array_equal(checkpoint.tensors["w"], 0)
    for content, entry, message in [
        ({"a": inner, "b": inner}, None, "'a', 'b'.*--entry"),
        ({"a": inner}, "x.y", "no entry 'x.y'"),
        ({"lr": 3}, None, "no state dict"),
    ]:
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(BundleError, match=rf"(?s){message}"):
            read_checkpoint(tmp_path / "a.pkl", entry)


class Touch:
    """Unpickling it would make a file."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._reduced = (call, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._reduced


def attacks(mark: Path) -> dict[str, bytes]:
    code = f"open({str(mark)!r}, 'w')"
    shell = f"touch {mark}".encode()
    return {
        "os.system": pickle.dumps({"a": Touch(os.system, f"touch {mark}")}, 2),
        "eval": pickle.dumps({"a": Touch(eval, code)}, 2),
        "exec in protocol 4": pickle.dumps({"a": Touch(exec, code)}, 4),
        "open": pickle.dumps(Touch(open, str(mark), "w"), 2),
        "instance": b"(S'" + shell + b"'\nios\nsystem\n.",
        "object": b"(cos\nsystem\nS'" + shell + b"'\no.",
        "nested reduce": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\nS'os'\n\x85RS'system'\ntR.",
        "attribute of an allowed name": b"\x80\x04\x8c\x06torch.\x8c\x04load\x93.",
        "dotted member": b"\x80\x04\x8c\x05torch\x8c\x0fserialization.x\x93.",
        "numpy.load": b"cnumpy\nload\n(S'x'\ntR.",
        "state of a function": b"ctorch.nn.parameter\nParameter\n}S'a'\nI1\nsb.",
        "calling a data name": b"cbuiltins\ndict\n)R.",
        "calling a tensor": b"}(I1\nI2\ntR.",
        "extension registry": b"\x82\x01.",
        "persistent text": b"Pname\n.",
        "a class of the user": pickle.dumps({"a": Touch(Path, "x")}, 2),
        "bytes with another codec": b"c_codecs\nencode\n(X\1\0\0\0aX\5\0\0\0bz2_xtR.",
        "class with a new": b"\x80\x02cbuiltins\nobject\n)\x81.",
        "reconstructor": b"ccopy_reg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    }


@pytest.mark.parametrize("case", attacks(Path("mark")))
@pytest.mark.parametrize("form", ["zip", "pickle", "legacy"])
def test_nothing_is_executed(tmp_path: Path, case: str, form: str) -> None:
    mark = tmp_path / "mark"
    data = attacks(mark)[case]
    if form == "zip":
        data = zip_of(data)
    elif form == "legacy":
        data = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + data
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(BundleError) as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert str(tmp_path / "a.pth") in str(caught.value)
    assert not mark.exists()


def test_the_refusal_names_what_was_refused() -> None:
    with pytest.raises(BundleError, match=r"'posix.system'.*nothing of it was executed"):
        read_pickle(io.BytesIO(pickle.dumps(Touch(os.system, "true"), 2)), "x", 60)


HUGE = b"\x8a\x08" + struct.pack("<q", 1 << 61)
BOMBS: dict[str, bytes] = {
    "memo index": b"}r\xff\xff\xff\xff.",
    "text of 8 EiB": b"\x8d" + b"\xff" * 7 + b"\x7f" + b"aa.",
    "bytearray": b"\x96" + b"\xff" * 7 + b"\x7f" + b"a.",
    "long of 2 GiB": b"\x8b\xff\xff\xff\x7f" + b"a.",
    "decimal": b"L" + b"9" * 100_000 + b"L\n.",
    "deep key": b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\1s.",
    "deep numpy code": b"cnumpy\ndtype\n" + b")" + b"\x85" * 200_000 + b"\x85R.",
    "copies of a text": (
        text("x" * 100_000) + b"q\0" + (b"c_codecs\nencode\nh\0\x85R" * 5_000) + b"."
    ),
    "copies of a list": b"]("
    + b"N" * 100_000
    + b"eq\0"
    + (b"cbuiltins\nset\nh\0\x85R" * 5_000)
    + b".",
    "text with a strange escape": b"S'a\\Sb'\n.",
    "no end": b"\x80\x02" + b"N" * 100,
    "empty stack": b".",
    "unmatched mark": b"(.",
    "tuple across a mark": b"N(\x85.",
    "odd items": b"}(Nu.",
    "append to a dictionary": b"}Na.",
    "unknown memo": b"h\5.",
    "huge shape": state_of(tensor(1, b"(" + HUGE + HUGE + b"t", b"(K\0K\0t")),
    "negative stride": state_of(tensor(1, b"(K\1t", b"(J\xff\xff\xff\xfft")),
    "long rank": state_of(tensor(1, b"(" + b"K\1" * 9 + b"t", b"(" + b"K\1" * 9 + b"t")),
    "storage too short": state_of(tensor(3, b"(K\3t", b"(K\1t")),
    "past the storage": state_of(tensor(1, b"(K\1t", b"(K\1t", b"K\2")),
    "expanded": state_of(tensor(1, b"(J\0\0\0\x40t", b"(K\0t")),
    "foreign storage": state_of(tensor(1, b"(K\1t", b"(K\1t", key="../../../etc/passwd")),
    "missing strides": state_of(tensor(1, b"(K\1t", b"(t")),
    "shared too often": state_of(*[tensor(1, b"(K\1t", b"(K\1t")] * 15_000),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_and_lies_are_errors(tmp_path: Path, case: str) -> None:
    (tmp_path / "a.pth").write_bytes(zip_of(BOMBS[case], {"0": bytes(4)}))
    if case == "shared too often":  # cheap in bytes: every tensor costs more pickle than values
        assert len(read_checkpoint(tmp_path / "a.pth").tensors) == 15_000
        return
    with pytest.raises(BundleError, match=r"a\.pth"):
        read_checkpoint(tmp_path / "a.pth")


def test_tensors_that_share_one_large_storage_too_often(tmp_path: Path) -> None:
    data = state_of(*[tensor(10_000, b"(M\x10\x27t", b"(K\1t")] * 5)
    (tmp_path / "a.pth").write_bytes(zip_of(data, {"0": bytes(40_000)}))
    with pytest.raises(BundleError, match="share storages too often"):
        read_checkpoint(tmp_path / "a.pth")


def test_archives_that_torch_would_not_write(tmp_path: Path) -> None:
    good = state_of(tensor(1, b"(K\1t", b"(K\1t"))
    for data, message in [
        (zip_of(good, {"0": bytes(4)}, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (zip_of(good), "no 'data/0'"),
        (b"PK\3\4" + bytes(40), "damaged archive"),
        (b"", "no checkpoint"),
        (b"hello, I am a text file\n", "no checkpoint"),
    ]:
        (tmp_path / "a.pth").write_bytes(data)
        with pytest.raises(BundleError, match=message):
            read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(BundleError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(BundleError, match="not a regular file"):
        read_checkpoint(tmp_path)


def legacy(tensors: dict[str, np.ndarray]) -> bytes:
    """A checkpoint as torch wrote it before 1.6."""
    heads = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    items = [
        tensor(value.size, pickled(value.shape), pickled(np.array(value.strides) // 4), key=name)
        for name, value in tensors.items()
    ]
    body = b"".join(
        struct.pack("<q", value.size) + value.tobytes() for _, value in sorted(tensors.items())
    )
    state = b"\x80\x02}(" + b"".join(
        text(name) + item for name, item in zip(tensors, items, strict=True)
    )
    keys = pickle.dumps(sorted(tensors), 2)
    return b"".join(pickle.dumps(head, 2) for head in heads) + state + b"u." + keys + body


def pickled(values: Any) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def test_the_legacy_form(tmp_path: Path) -> None:
    tensors = {
        "w": np.arange(12, dtype=np.float32).reshape(3, 4),
        "b": np.linspace(0, 1, 5, dtype=np.float32),
    }
    data = legacy(tensors)
    (tmp_path / "a.pth").write_bytes(data)
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert checkpoint.form == "legacy"
    assert_equal(checkpoint.tensors, tensors)
    for size in range(0, len(data), 5):
        (tmp_path / "a.pth").write_bytes(data[:size])
        with pytest.raises(BundleError):
            read_checkpoint(tmp_path / "a.pth")


def test_what_python_2_and_torch_0_3_wrote(tmp_path: Path) -> None:
    """Texts as bytes, storages as views, and the first form of the tensor's call."""
    heads = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    view = b"(U\1vK\2K\3t"  # the key of the view, where it begins, how long it is
    storage = b"(U\x07storagectorch.cuda\nFloatStorage\nU\0019U\6cuda:0K\6" + view + b"tQ"
    call = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\1(K\2t(K\1ttR"
    state = b"\x80\2}U\nstate_dict}U\1w" + call + b"ss."
    body = struct.pack("<q", 6) + np.arange(6, dtype=np.float32).tobytes()
    data = b"".join(pickle.dumps(head, 2) for head in heads)
    (tmp_path / "a.pth").write_bytes(data + state + pickle.dumps(["9"], 2) + body)
    assert_equal(read_checkpoint(tmp_path / "a.pth").tensors, {"w": np.array([3, 4], np.float32)})


@settings(
    deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    form=st.sampled_from(["zip", "legacy", "pickle"]),
    cuts=st.lists(st.tuples(st.integers(0, 100_000), st.binary(max_size=6)), max_size=4),
    end=st.integers(0, 3),
)
def test_damaged_bytes_never_give_anything_but_a_bundle_error(
    tmp_path: Path, form: str, cuts: list[tuple[int, bytes]], end: int
) -> None:
    state = {"w": np.arange(4, dtype=np.float32)}
    data = bytearray(
        {
            "zip": zip_of(state_of(tensor(2, b"(K\2t", b"(K\1t")), {"0": bytes(8)}),
            "legacy": legacy(state),
            "pickle": pickle.dumps(state, 2),
        }[form]
    )
    for position, replacement in cuts:
        begin = position % len(data)
        data[begin : begin + len(replacement)] = replacement
    (tmp_path / "a.pth").write_bytes(data[: len(data) - end])
    try:
        tensors = read_checkpoint(tmp_path / "a.pth").tensors
    except BundleError:
        return
    assert all(isinstance(value, np.ndarray) for value in tensors.values())


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=60))
def test_arbitrary_pickles_are_data_or_errors(data: bytes) -> None:
    try:
        read_pickle(io.BytesIO(data), "x", len(data))
    except BundleError as error:
        assert str(error).startswith("x")  # noqa: PT017 - either outcome is right
