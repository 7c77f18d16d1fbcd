"""``jack-stream notice``: what the people who are observed are told."""

from __future__ import annotations

from typing import Annotated

import typer

from jack_stream.cli.options import ConfigOption, SetOption, load_config
from jack_stream.service.notice import Language, notice_page, notice_text

__all__ = ["notice"]


def notice(
    config: ConfigOption,
    overrides: SetOption = None,
    language: Annotated[
        Language, typer.Option("--language", "-l", help="What it is written in.")
    ] = Language.en,
    html: Annotated[bool, typer.Option("--html", help="As a web page.")] = False,
) -> None:
    """Print the text to show to the people who are observed, made from a configuration.

    What is missing in `[purpose]` it calls "not stated". A running system serves it at `/notice`.
    """
    loaded = load_config(config, overrides)
    make = notice_page if html else notice_text
    typer.echo(make(loaded, language).strip())
    if loaded.observes_people and loaded.purpose.gaps:
        gaps = ", ".join(f"purpose.{key}" for key in loaded.purpose.gaps)
        typer.echo(f"The notice has gaps: {config} does not state {gaps}.", err=True)
