"""``jack-stream weights``: bundles in and out."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from jack_stream import __version__
from jack_stream.errors import UsageError
from jack_stream.weights import Bundle, Card, Provenance, TrainingData, read_bundle, write_bundle

__all__ = ["app"]

app = typer.Typer(
    help="Import, export, show and verify bundles of weights.",
    no_args_is_help=True,
)


class Storage(str, Enum):
    """How floating values are stored."""

    float32 = "float32"
    float16 = "float16"


BundlePath = Annotated[
    Path, typer.Argument(help="A bundle: a directory, or one .safetensors file.", metavar="BUNDLE")
]


@app.command("import")
def import_(
    *,
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="PyTorch checkpoints (.pth, .pt, .tar) or .safetensors files, then the bundle to "
            "make. Several checkpoints are parts of one model.",
            metavar="CHECKPOINT... OUT",
        ),
    ],
    method: Annotated[str, typer.Option("--method", "-m", help="What model the weights are for.")],
    label: Annotated[
        list[str] | None,
        typer.Option(help="A class name; once for each class, in the order of the outputs."),
    ] = None,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Training data and its licence, e.g. 'VideoEmotion-8=research only'; repeatable.",
            metavar="NAME=LICENCE",
        ),
    ] = None,
    caveat: Annotated[
        list[str] | None, typer.Option(help="What a user must know; repeatable.")
    ] = None,
    author: Annotated[str, typer.Option(help="Who made the checkpoint.")] = "unknown",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="An architecture argument; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    preprocessing: Annotated[
        list[str] | None,
        typer.Option(help="An entry of the card's preprocessing table.", metavar="NAME=VALUE"),
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help="The key of the state dict, dotted where nested.")
    ] = None,
    allow_missing: Annotated[
        list[str] | None,
        typer.Option(
            help="Weights that may keep a random value (* is anything).", metavar="PATTERN"
        ),
    ] = None,
    allow_unexpected: Annotated[
        list[str] | None,
        typer.Option(help="Entries that may be left out.", metavar="PATTERN"),
    ] = None,
    storage: Annotated[Storage, typer.Option(help="float16 halves the bundle.")] = Storage.float32,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Make a bundle of PyTorch checkpoints.

    PyTorch is not needed, and nothing that a checkpoint contains is executed. Every weight of the
    model must be there with its shape, and nothing else, unless you allow it.
    """
    from jack_stream.weights.importing import (  # noqa: PLC0415 - the other commands do without
        Imported,
        card_of,
        import_checkpoints,
    )

    if len(checkpoints) < 2:
        raise UsageError("weights import: give at least one checkpoint and the bundle to make")
    *paths, out = checkpoints
    imported: Imported = import_checkpoints(
        method,
        paths,
        architecture=_assignments("--set", set_ or []),
        entry=entry,
        allow_missing=allow_missing or [],
        allow_unexpected=allow_unexpected or [],
    )
    card = card_of(
        method,
        imported,
        labels=label,
        training_data=[_training_data(text) for text in trained_on or []],
        caveats=caveat or [],
        preprocessing=_assignments("--preprocessing", preprocessing or []),
        provenance=_provenance(author),
    )
    bundle = write_bundle(out, card, imported.tensors, storage=storage.value, overwrite=overwrite)
    for sentence in imported.kinds:
        typer.echo(sentence)
    if imported.unused:
        typer.echo(f"{len(imported.unused)} entries were left out.")
    if imported.initial:
        typer.echo(f"{len(imported.initial)} weights keep a random value: the bundle is untrained.")
    typer.echo(f"{out}: {_size(bundle)}, SHA-256 {bundle.digest}")


@app.command()
def export(
    bundle: BundlePath,
    out: Annotated[
        Path, typer.Argument(help="A .pth file for torch.load, or a .safetensors file.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Write a bundle's weights in a form that PyTorch loads, under the authors' names."""
    from jack_stream.weights.exporting import export_tensors  # noqa: PLC0415 - only needed here

    read = read_bundle(bundle)
    export_tensors(read.tensors, out, overwrite=overwrite)
    typer.echo(f"{out}: {_size(read)}")


@app.command()
def show(
    bundle: BundlePath,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON.")] = False,
) -> None:
    """Print what a bundle is: method, training data, metrics, caveats."""
    read = read_bundle(bundle)
    if as_json:
        typer.echo(json.dumps(read.card.model_dump(mode="json"), indent=2))
    else:
        typer.echo("\n".join(_lines(read.card, read)))
    if tensors:
        for name, value in read.tensors.items():
            typer.echo(f"{name}  {value.dtype}  {list(value.shape)}")


@app.command()
def verify(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles.", metavar="BUNDLE...")],
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Try the tensors in the model as well.")
    ] = True,
) -> None:
    """Check digests, shapes and values, and that the weights fit their model."""
    for path in bundles:
        bundle = read_bundle(path)
        if model:
            from jack_stream.models import create  # noqa: PLC0415 - imports Jittor

            create(bundle.card.method, **bundle.card.architecture).set_weights(bundle.tensors)
        typer.echo(f"{path}: good, {_size(bundle)}, SHA-256 {bundle.digest}")


def _lines(card: Card, bundle: Bundle) -> list[str]:
    made = card.provenance
    lines = [
        f"{bundle.path}",
        f"  method        {card.method}{'' if card.trained else ' (UNTRAINED)'}",
        f"  architecture  {_table(dict(card.architecture))}",
        f"  labels        {', '.join(card.labels) or '-'}",
        f"  preprocessing {_table(dict(card.preprocessing))}",
        f"  decision      {_table(card.decision.model_dump())}",
        f"  weights       {_size(bundle)}",
        f"  SHA-256       {bundle.digest}",
        f"  made          {made.created_at:%Y-%m-%d %H:%M %Z} by {made.author}: {made.command}",
    ]
    if made.commit:
        lines.append(f"  commit        {made.commit}")
    lines += [f"  data          {item.name} ({item.licence})" for item in card.training_data]
    lines += [f"  {m.name:13} {m.value:.4g} on {m.measured_on}" for m in card.metrics]
    lines += [f"  caveat        {text}" for text in card.caveats]
    return lines


def _table(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items()) or "-"


def _size(bundle: Bundle) -> str:
    values = sum(value.size for value in bundle.tensors.values())
    return f"{len(bundle.tensors)} tensors, {values / 1e6:.2f} million values"


def _assignments(option: str, texts: list[str]) -> dict[str, Any]:
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {text}: expected NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


def _training_data(text: str) -> TrainingData:
    name, equals, licence = text.partition("=")
    if not (equals and name.strip() and licence.strip()):
        raise UsageError(f"--trained-on {text!r}: expected NAME=LICENCE")
    return TrainingData(name=name, licence=licence)


def _provenance(author: str) -> Provenance:
    return Provenance(
        author=author,
        created_at=datetime.now(timezone.utc),
        command=shlex.join(["jack-stream", *sys.argv[1:]]),
        versions={"jack-stream": __version__},
    )
