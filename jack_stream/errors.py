"""What can go wrong, one class per decision that a caller can take.

Every message is written for the person who must fix the cause: what was wrong, where, what to do.
The command line prints the message alone and ends with the class's ``exit_code``.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "ConfigError",
    "JackError",
    "JournalCorruptError",
    "JournalError",
    "KeysError",
    "MissingDependencyError",
    "ModelFailedError",
    "ModelInputError",
    "SourceError",
    "SourceLostError",
    "UsageError",
    "WireError",
]


class JackError(Exception):
    """The root of all errors that this package raises on purpose.

    Attributes:
        exit_code: what the command line exits with (sysexits.h where it has a fitting code).
        hint: what to do about it, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


class UsageError(JackError):
    """The command was called with arguments that do not go together."""

    exit_code = 64


class WireError(JackError):
    """A message on the wire is malformed. Receivers count it, drop it and go on."""

    exit_code = 65


class ModelInputError(JackError):
    """Arrays given to a model have the wrong names, shapes, dtypes or values."""

    exit_code = 65


class ModelFailedError(JackError):
    """A model failed again and again; a new process may help."""

    exit_code = 70


class SourceError(JackError):
    """A camera, microphone, file or address can't be opened or read. Trying again won't help."""

    exit_code = 66


class SourceLostError(SourceError):
    """A source that worked is gone (unplugged, stalled, server died). Trying again may help."""

    exit_code = 75


class JournalError(JackError):
    """The journal of events can't be read or written now. Trying again later may help."""

    exit_code = 66


class JournalCorruptError(JournalError):
    """The file is no sound SQLite database. Only a new one helps."""


class MissingDependencyError(JackError):
    """Something that the machine must have is not there (a compiler, PortAudio, a library)."""

    exit_code = 69


class BundleError(JackError):
    """A bundle of weights is missing, damaged, or does not fit its method."""

    exit_code = 74


class ConfigError(JackError):
    """The configuration is wrong; the message names file, key and value."""

    exit_code = 78


class KeysError(ConfigError):
    """A CURVE key is missing, damaged, readable by others, or not allowed."""
