"""VAANet, CTEN and MART learn what can be learned from made clips, and nothing where it is hidden.

    python benchmarks/learning.py [METHOD...] [--where picture sound each both] [--clips 48]

For every row a set of clips is made whose class is in the picture, in the sound, half in each
(``each``, four classes), or in nothing but both together (``both``, an exclusive or). A small
network is trained on it: once with both modalities and once without each. VAANet and CTEN have a
frozen backbone of random weights whose features are kept; MART is trained whole, fine-tuning alone.
Accuracies are those of the part for tests; chance is 0.5, and 0.25 for ``each``, of which one
modality can tell a half.

No sum of something seen and something heard is right about an exclusive or more often than 0.75,
and a sum is all that VAANet's last layer forms of the two.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.trainers.made_clips import write_clips
from tests.trainers.small_networks import MART, settings, write_random
from trainers.recipe import read_recipe

METHODS = {"vaanet": "VAANetRecipe", "cten": "CTENRecipe", "mart": "MartRecipe"}
WHERE = ("picture", "sound", "each", "both")
HIDDEN = ("", "picture", "sound")

# From the block on that shares tokens, one stream hears of the other a block later.
_MART = (*MART, "model.depth=3", "data.validation_share=0.15")


def accuracy(method: str, data: Path, run: Path, overrides: list[str]) -> float:
    """Of a small network that learned from made clips, on the part for tests."""
    kind = getattr(import_module(f"trainers.{method}.recipe"), METHODS[method])
    small = _MART if method == "mart" else settings(method)
    recipe = read_recipe(kind, method, [*small, f"data.path={str(data)!r}", *overrides])
    begin: dict[str, Any] = {"stage": "finetune"}
    if method != "mart":
        classes = 4 if "each" in data.name else 2
        start = run.with_name(f"{run.name}-start")
        begin = {"init": write_random(start, method, n_classes=classes)}
    bundle = import_module(f"trainers.{method}.run").run_recipe(recipe, run, **begin)
    return float(next(m.value for m in bundle.card.metrics if m.name == "accuracy"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    parser.add_argument("--where", nargs="*", choices=WHERE, default=list(WHERE))
    parser.add_argument("--hidden", nargs="*", choices=HIDDEN, default=list(HIDDEN))
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe")
    arguments = parser.parse_args()
    columns = [f"without {hidden}" if hidden else "all" for hidden in arguments.hidden]
    print(f"| method | class is in | {' | '.join(columns)} | s |")
    print("|---" * (len(arguments.hidden) + 3) + "|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for method in arguments.methods:
            for where in arguments.where:
                show_row(method, where, Path(scratch), arguments)


def show_row(method: str, where: str, scratch: Path, arguments: argparse.Namespace) -> None:
    started = time.monotonic()
    data = scratch / f"made-{where}"
    if not data.exists():
        write_clips(data, where=where, clips=arguments.clips, layout="annotated")  # type: ignore[arg-type]
    row = [
        accuracy(
            method,
            data,
            scratch / f"{method}-{where}-{hidden or 'all'}",
            [f"schedule.epochs={arguments.epochs}", f"data.hide={hidden!r}", *arguments.set],
        )
        for hidden in arguments.hidden
    ]
    seconds = time.monotonic() - started
    figures = " | ".join(f"{value:.2f}" for value in row)
    print(f"| {method} | {where} | {figures} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
