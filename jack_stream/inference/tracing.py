"""What a trace says of windows and batches."""

from __future__ import annotations

import contextlib
from collections import Counter
from contextlib import AbstractContextManager

from jack_stream import trace
from jack_stream.events.schema import Latency
from jack_stream.inference.queue import Job
from jack_stream.inference.scheduler import Batch
from jack_stream.window.track import stop_of

__all__ = ["answered", "key", "published", "ready"]

_NS_PER_MS = 1e6


def ready(job: Job) -> AbstractContextManager[None]:
    """A window is complete and is given to the queue, which under lossless may take its time."""
    if not trace.is_on():
        return contextlib.nullcontext()
    window = job.window
    name = "window degraded" if window.degraded else "window ready"
    newest = max((found[-1] for found in window.samples.values() if found), key=stop_of)
    about = {"window": key(job), "sample": trace.sample(newest.stamp)}
    return trace.span("window", name, degraded=list(window.degraded), **about)


def answered(batch: Batch) -> None:
    """Windows were answered together."""
    if trace.is_on():
        rows: Counter[str] = Counter()
        for task in batch.tasks:
            rows.update({f"rows of {step.name}": count for step, count in task.rows.items()})
        name = f"batch of {batch.jobs[0].analyzer.model.method}"
        windows = [key(job) for job in batch.jobs]
        trace.add("batch", name, batch.started_ns, batch.done_ns, windows=windows, **rows)


def published(job: Job, latency: Latency, now_ns: int, events: int) -> None:
    """A window has become events: its life, stage by stage, as their latency says."""
    if not trace.is_on():
        return
    parts = {
        "capture to window": latency.capture_to_window_ms,
        "queue": latency.queue_ms,
        "wait for others": latency.batch_ms,
        "inference": latency.inference_ms,
        "publish": latency.publish_ms,
    }
    stages, end_ns = [], now_ns
    for name, took_ms in reversed(parts.items()):
        start_ns = end_ns - round(took_ms * _NS_PER_MS)
        stages.append((name, start_ns, end_ns))
        end_ns = start_ns
    lane = f"{job.window.stream} {job.analyzer.model.method}"
    trace.life("window", lane, key(job), stages[::-1], window=key(job), events=events)


def key(job: Job) -> str:
    """What a window is called in a trace."""
    return f"{job.window.stream} {job.analyzer.model.method} {job.window.start_ns}"
