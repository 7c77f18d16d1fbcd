"""CURVE certificates on disk: who one is, and who may come in.

A folder of keys has ``NAME.key_secret`` (a key pair, mode 0600) and ``NAME.key`` (its public half,
to give away). Its subfolders ``publish`` and ``subscribe`` are the lists of those who may do so:
a copy of ``NAME.key`` each. The files are ZeroMQ certificates, as pyzmq's ``zmq.auth`` and CZMQ
read and write them.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import zmq
from platformdirs import user_config_path

from jack_stream.errors import KeysError

__all__ = [
    "PUBLIC",
    "ROLES",
    "AllowList",
    "KeyPair",
    "Role",
    "allow",
    "create",
    "default_folder",
    "load_pair",
    "load_public",
    "revoke",
]

Role: TypeAlias = Literal["publish", "subscribe"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a key may be allowed to do: send captures, or receive events, health and what it missed."""

PUBLIC, SECRET = ".key", ".key_secret"
_MAX_BYTES = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_LINE = re.compile(
    rb"^\s*(public|secret)-key\s*=\s*\"([0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40})\""
)
_PUBLIC_BANNER = "# The public half of a ZeroMQ CURVE key: give it to those who are to know you.\n"
_PAIR_BANNER = "# A SECRET ZeroMQ CURVE key: it stays on the machine that uses it, mode 0600.\n"


@dataclass(frozen=True)
class KeyPair:
    """A public and a secret key, 40 characters of Z85 each."""

    public: bytes
    secret: bytes = field(repr=False)


def default_folder() -> Path:
    """Where keys are looked for where nothing else is said: ``~/.config/jack-stream/keys``."""
    return user_config_path("jack-stream") / "keys"


def create(folder: Path, name: str) -> Path:
    """Make a new key pair in a folder, which is made as well if need be.

    Returns:
        the file with the secret key.

    Raises:
        KeysError: the name is no name, a key has it already, or the files can't be written.
    """
    _check_name(name)
    _make(folder)
    public, secret = zmq.curve_keypair()
    path = folder / f"{name}{SECRET}"
    if path.exists():
        raise KeysError(f"{path}: exists already", hint="Choose another name, or delete the file.")
    shown = f'curve\n    public-key = "{public.decode()}"\n'
    _write(path, f'{_PAIR_BANNER}{shown}    secret-key = "{secret.decode()}"\n', 0o600)
    _write(path.with_suffix(PUBLIC), _PUBLIC_BANNER + shown, 0o644)
    return path


def load_pair(path: Path) -> KeyPair:
    """Read a key pair that nobody else can read.

    Raises:
        KeysError: it can't be read, holds no pair, or others may read it.
    """
    data, status = _read(path)
    if status.st_mode & 0o077:
        raise KeysError(
            f"{path}: others may read this secret key (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"Make it yours alone: chmod 600 {path}",
        )
    keys = _keys(data, path)
    if b"secret" not in keys:
        raise KeysError(
            f"{path}: has no secret key", hint=f"Give the file that ends with {SECRET}."
        )
    return KeyPair(keys[b"public"], keys[b"secret"])


def load_public(path: Path) -> bytes:
    """Read the public key of a certificate, 40 characters of Z85.

    Raises:
        KeysError: it can't be read or holds none.
    """
    return _keys(_read(path)[0], path)[b"public"]


def allow(folder: Path, certificate: Path, role: Role) -> Path:
    """Put a public key on the list of a role, under the name of its file.

    Returns:
        the file on the list.

    Raises:
        KeysError: the file is no certificate, another key has this name, or the list can't be
            written.
    """
    public = load_public(certificate)
    name = certificate.name.removesuffix(SECRET).removesuffix(PUBLIC)
    _check_name(name)
    _make(folder)
    _make(folder / role)
    path = folder / role / f"{name}{PUBLIC}"
    if path.exists() and load_public(path) != public:
        raise KeysError(
            f"{path}: another key of this name is allowed already",
            hint=f"Take it off first: jack-stream keys revoke {name}",
        )
    _write(path, f'{_PUBLIC_BANNER}curve\n    public-key = "{public.decode()}"\n', 0o644)
    return path


def revoke(folder: Path, name: str) -> list[Role]:
    """Take a name off all lists.

    Returns:
        the roles that it had.

    Raises:
        KeysError: it is on no list, or a list can't be written.
    """
    _check_name(name)
    had: list[Role] = []
    for role in ROLES:
        path = folder / role / f"{name}{PUBLIC}"
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise KeysError(f"{path}: can't be deleted: {error.strerror}") from error
        had.append(role)
    if not had:
        raise KeysError(
            f"{folder}: no key {name!r} is allowed anything",
            hint=f"Those who are: jack-stream keys list --keys {folder}",
        )
    return had


class AllowList:
    """Who may do what; read again whenever a list has changed on disk.

    Args:
        folder: the folder of keys.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Role, tuple[list[tuple[str, int, int]], dict[bytes, str]]] = {}

    def names(self, role: Role) -> dict[bytes, str]:
        """Public key -> name, of all who have a role.

        Raises:
            KeysError: a file is no certificate, or others may write to the list.
        """
        folder = self._folder / role
        try:
            mode = folder.stat().st_mode
            files = [(p, p.stat()) for p in sorted(folder.glob(f"*{PUBLIC}"))]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeysError(f"{folder}: can't be read: {error.strerror}") from error
        if mode & 0o022:
            raise KeysError(
                f"{folder}: others may write to this list of keys",
                hint=f"Make it yours alone: chmod 700 {folder}",
            )
        state = [(path.name, status.st_ino, status.st_mtime_ns) for path, status in files]
        seen, names = self._known.get(role, ([], {}))
        if state != seen:
            names = {load_public(path): path.stem for path, _ in files}
            self._known[role] = state, names
        return names


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise KeysError(
            f"{name!r} is no name of a key",
            hint="Names have 1 to 64 letters, digits, - and _, and begin with a letter or digit.",
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysError(f"{folder}: can't be made: {error.strerror}") from error


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return file.read(_MAX_BYTES), status
    except OSError as error:
        raise KeysError(
            f"{path}: the key can't be read: {error.strerror}",
            hint="jack-stream keys new makes keys; --key and --server-key name their files.",
        ) from error


def _keys(data: bytes, path: Path) -> dict[bytes, bytes]:
    matches = [match for line in data.splitlines() if (match := _LINE.match(line))]
    found: dict[bytes, bytes] = {match[1]: match[2] for match in matches}
    if b"public" not in found:
        raise KeysError(f'{path}: is no certificate: it has no line public-key = "..."')
    return found


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, never readable by more than its mode says."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        made = Path(file.name)  # mode 0600 so far
        made.chmod(mode)
        made.replace(path)
    except OSError as error:
        raise KeysError(f"{path}: can't be written: {error.strerror}") from error
