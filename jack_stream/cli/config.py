"""``jack-stream config``: look at configurations before they run."""

from __future__ import annotations

from typing import Annotated

import typer

from jack_stream.cli.options import SetOption, load_config, ready_configurations

__all__ = ["app"]

app = typer.Typer(help="Check and show configurations.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file or a ready configuration.")]


@app.command()
def check(name: _Name, overrides: SetOption = None) -> None:
    """Say what is wrong with a configuration, or what it would start."""
    from jack_stream.inference.catalogue import check_methods  # noqa: PLC0415
    from jack_stream.service.cores import division  # noqa: PLC0415
    from jack_stream.service.plan import plan  # noqa: PLC0415
    from jack_stream.service.rule_check import check_rules  # noqa: PLC0415

    config = load_config(name, overrides)
    check_methods(settings for stream in config.streams for settings in stream.analyzers)
    check_rules(config)
    parts = division(config)
    typer.echo(f"{name}: sound; it starts {', '.join(one.name for one in plan(config))}")
    if parts is not None:
        typer.echo(f"cores: {parts}")


@app.command()
def show(name: _Name, overrides: SetOption = None) -> None:
    """Print a configuration with all defaults filled in, and passwords and tokens hidden."""
    from jack_stream.capture.redact import redact  # noqa: PLC0415
    from jack_stream.config import dumps  # noqa: PLC0415

    config = load_config(name, overrides)
    if config.view.token is not None:
        hidden = config.view.model_copy(update={"token": "***"})
        config = config.model_copy(update={"view": hidden})
    rules = tuple(
        rule.model_copy(update={"webhook": rule.webhook and "https://***"}) for rule in config.rules
    )
    config = config.model_copy(update={"rules": rules})
    typer.echo(redact(dumps(config)), nl=False)


@app.command("list")
def list_ready() -> None:
    """List the ready configurations."""
    for name, path in ready_configurations().items():
        first = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        typer.echo(f"{name:<14} {first}")


@app.command()
def keys() -> None:
    """Print every key with its type, default and meaning, as Markdown."""
    from jack_stream.config.page import page  # noqa: PLC0415

    typer.echo(page(), nl=False)
