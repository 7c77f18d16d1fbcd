"""What the supervisor starts; not for people."""

from __future__ import annotations

from typing import Annotated

import typer

from jack_stream.service.plan import Role, WorkerPlan

__all__ = ["worker"]


def worker(
    role: Annotated[str, typer.Argument()], stream: Annotated[str, typer.Argument()] = ""
) -> None:
    """Do one process's part; the configuration comes through standard input."""
    from jack_stream.service.worker import main  # noqa: PLC0415

    roles: dict[str, Role] = {
        "camera": "camera",
        "microphone": "microphone",
        "scene": "scene",
        "recording": "recording",
        "pose": "pose",
        "journal": "journal",
        "inference": "inference",
        "gate": "gate",
        "rules": "rules",
        "metrics": "metrics",
        "view": "view",
    }
    if role not in roles:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(roles)}")
    main(WorkerPlan(roles[role], stream))
