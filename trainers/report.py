"""What a run leaves for its reader: ``report.md`` with learning curves and test results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from trainers.evaluation import Results

__all__ = ["History", "draw_curves", "write_report"]

History = Sequence[Mapping[str, float]]


def write_report(
    run: Path,
    title: str,
    *,
    history: History,
    results: Mapping[str, Results],
    facts: Mapping[str, str],
) -> None:
    """Write ``report.md`` and its pictures into the run's folder.

    Args:
        run: the folder.
        title: the first line.
        history: one mapping of figures per epoch.
        results: of the tests, by what was tested on.
        facts: whatever else is to be said: name -> value.
    """
    draw_curves(run / "curves.png", history)
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += ["![learning curves](curves.png)", "", *_table(history), ""]
    for number, (name, result) in enumerate(results.items(), start=1):
        picture = f"result-{number}.png"
        result.draw(run / picture, name)
        lines += [f"## {name}", "", "```", *result.lines(), "```", "", f"![{name}]({picture})", ""]
    (run / "report.md").write_text("\n".join(lines), encoding="utf-8")


def draw_curves(path: Path, history: History) -> None:
    """Every figure that was taken once per epoch, losses and the rest apart."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, others = figure.subplots(1, 2)
    epochs = [entry["epoch"] + 1 for entry in history]
    for name in history[0] if history else ():
        if name in ("epoch", "lr", "seconds"):
            continue
        axes = others if "recall" in name or "accuracy" in name else losses
        axes.plot(epochs, [entry[name] for entry in history], label=name.replace("_", " "))
    if all(value > 0 for line in losses.lines for value in line.get_ydata()):
        losses.set_yscale("log")
    for axes in (losses, others):
        axes.set_xlabel("epoch")
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=110)


def _table(history: History) -> list[str]:
    if not history:
        return []
    names = list(history[0])
    rows = ["| " + " | ".join(f"{entry[name]:.4g}" for name in names) + " |" for entry in history]
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *rows]
