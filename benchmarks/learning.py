"""VAANet, CTEN and MART learn what can be learned from made clips, and nothing where it is hidden.

    python benchmarks/learning.py [METHOD...] [--where picture sound each both] [--clips 48]

For every row a set of clips is made whose class is in the picture, in the sound, half in each
(``each``, four classes), or in nothing but both together (``both``, an exclusive or). A small
network is trained on it: once with both modalities and once without each. VAANet and CTEN have a
frozen backbone of random weights whose features are kept; MART is trained whole, fine-tuning alone.
Accuracies are those of the part for tests; chance is 0.5, and 0.25 for ``each``, of which one
modality can tell a half. ``--from each`` begins with a network that has learned ``each``.

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


def trained(method: str, data: Path, run: Path, overrides: list[str], init: Path | None) -> Any:
    """The bundle of a small network that learned from made clips."""
    kind = getattr(import_module(f"trainers.{method}.recipe"), METHODS[method])
    small = _MART if method == "mart" else settings(method)
    recipe = read_recipe(kind, method, [*small, f"data.path={str(data)!r}", *overrides])
    more = {"stage": "finetune"} if method == "mart" else {}
    if init is None and method != "mart":
        classes = 4 if "each" in data.name else 2
        init = write_random(run.with_name(f"{run.name}-start"), method, n_classes=classes)
    return import_module(f"trainers.{method}.run").run_recipe(recipe, run, init=init, **more)


def accuracy(bundle: Any) -> float:
    """On the part for tests."""
    return next(m.value for m in bundle.card.metrics if m.name == "accuracy")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    parser.add_argument("--where", nargs="*", choices=WHERE, default=list(WHERE))
    parser.add_argument("--hidden", nargs="*", choices=HIDDEN, default=list(HIDDEN))
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--from", dest="first", choices=WHERE, help="what is learned before")
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

    def learned(what: str, init: Path | None, hidden: str) -> Any:
        data = scratch / f"made-{what}"
        if not data.exists():
            write_clips(data, where=what, clips=arguments.clips, layout="annotated")  # type: ignore[arg-type]
        run = scratch / f"{method}-{what}-{'then' if init else 'first'}-{hidden or 'all'}"
        chosen = [f"schedule.epochs={arguments.epochs}", f"data.hide={hidden!r}"]
        return trained(method, data, run, [*chosen, *arguments.set], init)

    row = []
    for hidden in arguments.hidden:
        init = learned(arguments.first, None, hidden).path if arguments.first else None
        row.append(accuracy(learned(where, init, hidden)))
    seconds = time.monotonic() - started
    figures = " | ".join(f"{value:.2f}" for value in row)
    print(f"| {method} | {where} | {figures} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
