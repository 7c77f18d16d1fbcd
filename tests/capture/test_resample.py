from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jack_stream.capture.resample import Block, BlockResampler
from jack_stream.clock import NS_PER_S


def _run(
    resampler: BlockResampler, samples: NDArray[np.float32], rate: int, sizes: list[int], at_ns: int
) -> list[Block]:
    blocks: list[Block] = []
    position = 0
    index = 0
    while position < len(samples):
        chunk = samples[position : position + sizes[index % len(sizes)]]
        blocks += resampler.push(chunk, at_ns + position * NS_PER_S // rate)
        position += len(chunk)
        index += 1
    return blocks + resampler.flush()


@settings(max_examples=40, deadline=None)
@given(
    rate_in=st.sampled_from([8000, 16000, 44100, 48000, 96000]),
    rate_out=st.sampled_from([16000, 22050, 44100, 48000]),
    sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=6),
    click_at=st.floats(0.2, 0.8),
)
def test_a_click_keeps_its_time(
    rate_in: int, rate_out: int, sizes: list[int], click_at: float
) -> None:
    samples = np.zeros(rate_in, np.float32)
    click = int(click_at * rate_in)
    samples[click] = 1
    start_ns = 1_700_000_000 * NS_PER_S
    resampler = BlockResampler(rate_in, rate_out, rate_out // 50)
    blocks = _run(resampler, samples, rate_in, sizes, start_ns)
    loudest = max(blocks, key=lambda block: float(np.abs(block.samples).max()))
    found_ns = loudest.at_ns + int(np.abs(loudest.samples).argmax()) * NS_PER_S // rate_out
    tolerance_ns = NS_PER_S // min(rate_in, rate_out)
    assert abs(found_ns - (start_ns + click * NS_PER_S // rate_in)) <= tolerance_ns
    assert abs(sum(len(block.samples) for block in blocks) - rate_out) <= 1
    ends = [block.at_ns + len(block.samples) * NS_PER_S // rate_out for block in blocks]
    starts = [block.at_ns for block in blocks[1:]]
    assert np.allclose(ends[:-1], starts, atol=3, rtol=0)
    assert all(len(block.samples) == rate_out // 50 for block in blocks[:-1])


@pytest.mark.parametrize(("rate_in", "rate_out"), [(48000, 16000), (44100, 48000), (16000, 16000)])
def test_a_tone_keeps_its_frequency_and_level(rate_in: int, rate_out: int) -> None:
    times = np.arange(2 * rate_in) / rate_in
    tone = (0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)
    blocks = _run(BlockResampler(rate_in, rate_out, 320), tone, rate_in, [480], 0)
    heard = np.concatenate([block.samples for block in blocks])
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(heard)) / rate_out)
    middle = slice(rate_out // 10, -rate_out // 10)
    assert np.abs(heard[middle] - expected[middle]).max() < 1e-3


def test_after_a_gap_everything_starts_anew() -> None:
    resampler = BlockResampler(48000, 16000, 320)
    assert resampler.flush() == []
    before = resampler.push(np.ones(4800, np.float32), 0) + resampler.flush()
    assert not any(block.discontinuity for block in before)
    assert sum(len(block.samples) for block in before) == 1600
    after = resampler.push(np.ones(48000, np.float32), 7 * NS_PER_S)
    assert [block.discontinuity for block in after[:2]] == [True, False]
    assert after[0].at_ns == 7 * NS_PER_S
