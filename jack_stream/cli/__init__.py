"""The command line: ``jack-stream``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit; a user's mistake ends with a message and a fitting code."""
    from jack_stream.cli.app import app  # noqa: PLC0415 - so that importing this stays cheap
    from jack_stream.errors import JackError  # noqa: PLC0415

    try:
        app()
    except JackError as error:
        print(f"jack-stream: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
