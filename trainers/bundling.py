"""From a finished run to a bundle with its card."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import Field

import jack_stream
from jack_stream.weights.card import Provenance, TrainingData
from trainers.recipe import Section

__all__ = ["CardSettings", "DataLicence", "provenance"]


class DataLicence(Section):
    """A data set of the card; see `jack_stream.weights.card.TrainingData`."""

    name: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    source: str = ""
    note: str = ""

    def for_card(self) -> TrainingData:
        """The card's form."""
        return TrainingData(**self.model_dump())


class CardSettings(Section):
    """What a recipe says about its bundle that no figure says."""

    author: str = "unknown"
    storage: Literal["float32", "float16"] = "float32"
    training_data: list[DataLicence] = Field(default=[])
    caveats: list[str] = Field(default=[])


def provenance(author: str, seed: int, facts: Mapping[str, str]) -> Provenance:
    """Who, when, with which command, commit and versions; ``facts`` are added to the versions."""
    return Provenance(
        author=author,
        created_at=datetime.now(timezone.utc),
        command=shlex.join(["jack-train", *sys.argv[1:]]),
        commit=_commit(),
        seed=seed,
        versions={
            "jack-stream": jack_stream.__version__,
            "jittor": version("jittor"),
            "numpy": version("numpy"),
            **facts,
        },
    )


def _commit() -> str:
    """The checkout's revision, empty where the package is not in one."""
    git = shutil.which("git")
    if git is None:
        return ""
    found = subprocess.run(  # noqa: S603 - a fixed command
        [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return found.stdout.strip() if found.returncode == 0 else ""
