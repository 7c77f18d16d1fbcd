"""Divides the machine's cores between capture, pose and inference (docs/operations.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jack_stream.config import Config
from jack_stream.config.fields import spans_of
from jack_stream.errors import ConfigError
from jack_stream.service.plan import Role, WorkerPlan, plan

__all__ = ["Division", "choose", "divide", "division", "take_part"]

_FEWEST = 4
"""With fewer cores all processes share all of them: a core of one's own would often lie idle."""
_CAPTURES_PER_CORE = 8


@dataclass(frozen=True, slots=True)
class Division:
    """Which processes run on which cores.

    Attributes:
        capture: of captures and of all small processes.
        pose: of the pose processes.
        inference: of the models.
    """

    capture: tuple[int, ...]
    pose: tuple[int, ...]
    inference: tuple[int, ...]

    def of(self, role: Role) -> tuple[int, ...]:
        """The cores of a process."""
        if role == "inference":
            return self.inference
        return self.pose if role == "pose" else self.capture

    def __str__(self) -> str:
        named = {"capture": self.capture, "pose": self.pose, "inference": self.inference}
        return "; ".join(
            f"{what} {','.join(map(str, cores))}" for what, cores in named.items() if cores
        )


def choose(wanted: str, allowed: Sequence[int]) -> tuple[int, ...]:
    """The cores that are meant, ascending.

    Args:
        wanted: ``all``, how many, or which (``0,2-3``).
        allowed: those that this process may use.

    Raises:
        ConfigError: there are not so many, or one of them is not there or not allowed.
    """
    there = sorted(allowed)
    may = f"this process may use {len(there)}: {','.join(map(str, there))}"
    if wanted == "all":
        return tuple(there)
    if wanted.isdecimal():
        if int(wanted) > len(there):
            raise ConfigError(
                f"runtime.cpus: {wanted} cores are asked for, {may}",
                hint=f"One core by its number is {wanted}-{wanted}.",
            )
        return tuple(there[: int(wanted)])
    cores = {core for first, last in spans_of(wanted) for core in range(first, last + 1)}
    if missing := sorted(cores - set(there)):
        raise ConfigError(
            f"runtime.cpus: core {missing[0]} is not there or not allowed, {may}",
            hint="What is allowed is set by taskset, by systemd's AllowedCPUs or by a container.",
        )
    return tuple(sorted(cores))


def divide(cores: Sequence[int], workers: Sequence[WorkerPlan], *, only_poses: bool) -> Division:
    """Give each kind of process its cores.

    Args:
        cores: those that there are, at least one.
        workers: the processes.
        only_poses: whether no model looks at pictures or sound: those are many times as costly.
    """
    count, everything = len(cores), tuple(cores)
    poses = sum(one.role == "pose" for one in workers)
    captures = sum(bool(one.stream) for one in workers) - poses
    if count < _FEWEST:
        return Division(everything, everything if poses else (), everything)
    capture = max(1, min(-(-captures // _CAPTURES_PER_CORE), count // 4))
    rest = count - capture
    for_models = -(-rest // (4 if only_poses else 2))
    pose = min(poses, rest - for_models)
    return Division(
        everything[:capture], everything[capture : capture + pose], everything[capture + pose :]
    )


def division(config: Config) -> Division | None:
    """The division that a configuration asks for, None if it asks for none.

    Raises:
        ConfigError: it asks for cores that this process may not use.
    """
    from jack_stream.models.registry import METHODS  # noqa: PLC0415 - capture needs no models

    if config.runtime.cpus is None:
        return None
    cores = choose(config.runtime.cpus, sorted(os.sched_getaffinity(0)))
    methods = {one.method for stream in config.streams for one in stream.analyzers}
    looked_at = {m for name in methods if name in METHODS for m in METHODS[name].modalities}
    return divide(cores, plan(config), only_poses=looked_at <= {"pose"})


def take_part(config: Config, role: Role | None = None) -> Division | None:
    """Keep this process to its cores; libraries that are loaded later count their threads by them.

    Args:
        config: the whole configuration.
        role: what the process does; None keeps it and what it starts to the cores of all.

    Returns:
        The division, None if none is asked for.

    Raises:
        ConfigError: it asks for cores that this process may not use.
    """
    parts = division(config)
    if parts is None:
        return None
    cores = {*parts.capture, *parts.pose, *parts.inference} if role is None else {*parts.of(role)}
    try:
        _keep_to(cores, every_thread=role is not None)
    except PermissionError as error:
        raise ConfigError(
            "runtime.cpus: this process may not choose its cores (sched_setaffinity)",
            hint="Leave runtime.cpus out, or allow it: in a service, SystemCallFilter.",
        ) from error
    if role not in {None, "inference"}:  # one picture at a time gains nothing by more
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    return parts


def _keep_to(cores: set[int], *, every_thread: bool) -> None:
    """Bind this thread and what it starts from now on, or also the threads that there are."""
    if not every_thread:
        os.sched_setaffinity(0, cores)
        return
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
