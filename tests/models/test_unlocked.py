"""Other threads run while a network computes, and never see a Var."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jack_stream.models.layers import matmul
from jack_stream.models.unlocked import collect, fetch, unlocked
from jack_stream.runtime import jittor

pytestmark = pytest.mark.jittor
jt = jittor()
MATRIX = np.random.default_rng(0).standard_normal((1, 64, 64)).astype(np.float32)
LONG_MS, SHORT_MS, BROKEN_MS = 60_000, 200, -1
# Says at an address that it runs, and waits until it is answered there, but no longer than so.
WAITING = """
    int* flags;
    memcpy(&flags, in0_p, sizeof(flags));
    if (in0_p[2] < 0) throw std::runtime_error("too hot");
    auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(in0_p[2]);
    __atomic_store_n(flags, 1, __ATOMIC_SEQ_CST);
    while (!(out_p[0] = __atomic_load_n(flags + 1, __ATOMIC_SEQ_CST)) &&
           std::chrono::steady_clock::now() < until) std::this_thread::yield();
"""
HEADER = "#include <chrono>\n#include <cstring>\n#include <thread>\n"


def waiting(flags: npt.NDArray[np.int32], most_ms: int) -> Any:
    """A Var whose computation waits to be answered; 1 if it was."""
    place = np.array([flags.ctypes.data]).view(np.int32)
    about = jt.array(np.array([*place, most_ms], np.int32))
    return jt.code((1,), "int32", [about], cpu_src=WAITING, cpu_header=HEADER)


def is_answered(most_ms: int) -> bool:
    """Whether another thread of Python can answer while a Var is computed."""
    flags = np.zeros(2, np.int32)

    def answer() -> None:
        while not flags[0]:
            pass
        flags[1] = 1

    with ThreadPoolExecutor(1) as other:
        done = other.submit(answer)
        (found,) = fetch([waiting(flags, most_ms)])
        done.result()
    return bool(found[0])


def product() -> Any:
    """A Var that was not computed yet."""
    return matmul(jt.array(MATRIX), jt.array(MATRIX))


def test_other_threads_run_while_a_network_computes() -> None:
    with jt.no_grad():
        assert not is_answered(SHORT_MS)
        with unlocked():
            assert is_answered(LONG_MS)


def test_a_graph_for_gradients_is_computed_with_the_lock_held() -> None:
    with unlocked():
        assert not is_answered(SHORT_MS)
        assert fetch([product()])[0].shape == MATRIX.shape


def test_the_answer_is_the_same_to_the_bit() -> None:
    with jt.no_grad():
        (locked,) = fetch([product()])
        with unlocked():
            (free,) = fetch([product()])
    np.testing.assert_array_equal(free, locked)


def test_an_operator_that_fails_says_so_and_the_next_one_works() -> None:
    with unlocked(), jt.no_grad():
        broken = waiting(np.zeros(2, np.int32), BROKEN_MS)
        with pytest.raises(RuntimeError, match="too hot"):
            fetch([broken])
        assert fetch([product()])[0].shape == MATRIX.shape


def test_no_other_thread_may_run_a_network() -> None:
    with ThreadPoolExecutor(1) as other:
        with unlocked():
            value = product()
            with pytest.raises(RuntimeError, match="other than the one"):
                other.submit(fetch, [value]).result()
        other.submit(fetch, [value]).result()


def test_what_is_in_a_cycle_is_dropped_by_the_thread_that_computes_alone() -> None:
    class Holder:
        pass

    died_in: list[int] = []
    with ThreadPoolExecutor(1) as other, unlocked():
        holder = Holder()
        holder.var, holder.self = product(), holder  # type: ignore[attr-defined]
        weakref.finalize(holder, lambda: died_in.append(threading.get_ident()))
        del holder
        kept = other.submit(lambda: [[one] for one in range(100_000)]).result()
        assert not died_in
        collect()
        assert died_in == [threading.get_ident()]
        assert kept


def test_collection_is_automatic_again_afterwards() -> None:
    with unlocked():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
