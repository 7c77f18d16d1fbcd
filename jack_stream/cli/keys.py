"""``jack-stream keys``: who may come in from other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jack_stream.wire import keys

__all__ = ["app"]

app = typer.Typer(
    help="Make CURVE keys, and say which of them may do what (docs/security.md).",
    no_args_is_help=True,
)
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FOLDER",
        help="The folder of keys (`gate.keys`). [~/.config/jack-stream/keys]",
        show_default=False,
    ),
]
_ROLES = {role: role for role in keys.ROLES}


def _role(text: str) -> keys.Role:
    if text not in _ROLES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_ROLES)}")
    return _ROLES[text]


@app.command()
def new(
    owner: Annotated[
        str, typer.Argument(help="Whose key; `gate` for the gate's own.", metavar="NAME")
    ],
    folder: _Folder = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="What it may do here at once: publish or subscribe.", metavar="ROLE"),
    ] = None,
) -> None:
    """Make a key pair: NAME.key_secret to keep, NAME.key to give away."""
    where = folder or keys.default_folder()
    roles = [_role(one) for one in role or []]
    secret = keys.create(where, owner)
    public = secret.with_suffix(keys.PUBLIC)
    typer.echo(f"{secret}: secret; keep it where it is used, and nowhere else")
    typer.echo(f"{public}: public; give it to those who are to know {owner}")
    for one in roles:
        keys.allow(where, public, one)
        typer.echo(f"{owner} may {one}")


@app.command()
def allow(
    certificate: Annotated[Path, typer.Argument(help="A public key that somebody gave you.")],
    role: Annotated[list[str], typer.Option(help="publish or subscribe.", metavar="ROLE")],
    folder: _Folder = None,
) -> None:
    """Let a key in. A gate that runs notices at once."""
    for one in [_role(text) for text in role]:
        path = keys.allow(folder or keys.default_folder(), certificate, one)
        typer.echo(f"{path.stem} may {one}")


@app.command()
def revoke(
    owner: Annotated[str, typer.Argument(help="Whose key.", metavar="NAME")],
    folder: _Folder = None,
) -> None:
    """Let a key in no more. A gate that runs cuts its connections within two seconds."""
    had = keys.revoke(folder or keys.default_folder(), owner)
    typer.echo(f"{owner} may no longer {' or '.join(had)}")


@app.command("list")
def list_allowed(folder: _Folder = None) -> None:
    """Print who may do what."""
    allowed = keys.AllowList(folder or keys.default_folder())
    for role in keys.ROLES:
        for public, name in sorted(allowed.names(role).items(), key=lambda item: item[1]):
            typer.echo(f"{name:<20} {role:<10} {public.decode()}")
