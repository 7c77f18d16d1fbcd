"""Certificates on disk: what is written, what is refused, and what a person is told."""

import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth
from typer.testing import CliRunner

from jack_stream.cli.app import app
from jack_stream.errors import ConfigError, KeysError
from jack_stream.wire import keys
from jack_stream.wire.access import Access


def test_a_new_key_is_a_zeromq_certificate_that_only_its_owner_reads(tmp_path: Path) -> None:
    secret = keys.create(tmp_path / "keys", "anna")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    pair = keys.load_pair(secret)
    assert zmq.auth.load_certificate(secret) == (pair.public, pair.secret)
    assert zmq.curve_public(pair.secret) == pair.public
    public = secret.with_suffix(".key")
    assert zmq.auth.load_certificate(public) == (pair.public, None)
    assert pair.secret not in public.read_bytes()
    assert pair.secret.decode() not in repr(pair)


def test_certificates_of_pyzmq_are_read(tmp_path: Path) -> None:
    public, secret = zmq.auth.create_certificates(tmp_path, "anna", {"email": "a@example.org"})
    Path(secret).chmod(0o600)
    assert keys.load_pair(Path(secret)).public == keys.load_public(Path(public))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret = keys.create(tmp_path, "anna")
    secret.chmod(mode)
    with pytest.raises(KeysError, match=f"chmod 600 {secret}"):
        keys.load_pair(secret)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    secret = keys.create(tmp_path, "anna")
    before = secret.read_bytes()
    with pytest.raises(KeysError, match="exists already"):
        keys.create(tmp_path, "anna")
    assert secret.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../door", "a/b", ".hidden", "-x", "a" * 65, "ü"])
def test_names_that_are_none_make_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="no name of a key"):
        keys.create(tmp_path / "keys", name)
    assert not list(tmp_path.rglob("*key*"))


@pytest.mark.parametrize(
    "text", ["", "public-key = nothing", 'public-key = "short"', "\0" * 10_000, "curve\n" * 2000]
)
def test_what_is_no_certificate_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "anna.key"
    path.write_text(text)
    with pytest.raises(KeysError, match=r"anna\.key: is no certificate"):
        keys.load_public(path)


def test_rights_are_given_and_taken(tmp_path: Path) -> None:
    allowed = keys.AllowList(tmp_path)
    public = keys.create(tmp_path, "anna").with_suffix(".key")
    assert allowed.names("subscribe") == {}
    keys.allow(tmp_path, public, "subscribe")
    assert allowed.names("subscribe") == {keys.load_public(public): "anna"}
    assert allowed.names("publish") == {}
    assert keys.revoke(tmp_path, "anna") == ["subscribe"]
    assert allowed.names("subscribe") == {}
    with pytest.raises(KeysError, match="no key 'anna' is allowed"):
        keys.revoke(tmp_path, "anna")


def test_a_name_does_not_pass_to_another_key(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        keys.create(tmp_path / folder, "anna")
    keys.allow(tmp_path, tmp_path / "one" / "anna.key", "subscribe")
    with pytest.raises(KeysError, match="another key of this name"):
        keys.allow(tmp_path, tmp_path / "two" / "anna.key", "subscribe")


def test_allowing_a_secret_key_puts_only_its_public_half_on_the_list(tmp_path: Path) -> None:
    secret = keys.create(tmp_path, "anna")
    listed = keys.allow(tmp_path, secret, "publish")
    assert listed == tmp_path / "publish" / "anna.key"
    assert b"secret-key" not in listed.read_bytes()


def test_a_list_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    public = keys.create(tmp_path, "anna").with_suffix(".key")
    keys.allow(tmp_path, public, "subscribe")
    (tmp_path / "subscribe").chmod(0o770)
    with pytest.raises(KeysError, match="chmod 700"):
        keys.AllowList(tmp_path).names("subscribe")


def test_one_key_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both keys"):
        Access.of(keys.create(tmp_path, "anna"), None)


def test_the_commands_do_what_they_say(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["keys", *words, "--keys", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.output

    said("new", "gate")
    assert "anna may subscribe" in said("new", "anna", "--role", "subscribe")
    said("new", "door")
    said("allow", str(tmp_path / "door.key"), "--role", "publish")
    lines = [line.split() for line in said("list").splitlines()]
    assert [line[:2] for line in lines] == [["door", "publish"], ["anna", "subscribe"]]
    assert lines[1][2].encode() == keys.load_public(tmp_path / "anna.key")
    assert "anna may no longer subscribe" in said("revoke", "anna")
    assert "anna" not in said("list")
