"""Files with keys and secrets: private, whole, and silent about what they hold."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from postmill.auth import env_file, host_proof, jwks, key_file, keys, private_file
from postmill.auth.environment import Environment
from postmill.auth.secret_store import FILE_NAME, Secrets
from postmill.model.errors import InvalidOption, NotFound, Refused
from postmill.project.project import load_settings

if TYPE_CHECKING:
    from pathlib import Path

LONG = "s" * 40


def test_keys_are_made_once_in_a_private_file(tmp_path: Path) -> None:
    made = key_file.create(tmp_path / "new")
    path = tmp_path / "new" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_file.load(tmp_path / "new", {}) == made
    with pytest.raises(Refused, match="already"):
        key_file.create(tmp_path / "new")


def test_keys_nobody_made_are_made_for_development_only(tmp_path: Path) -> None:
    assert key_file.load(tmp_path, {}) is None
    assert key_file.create(tmp_path) == key_file.load(tmp_path, {})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"jwt_secret": 1}', "{"])
def test_a_broken_key_file_is_named_and_nothing_of_it_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(Refused, match=r"keys\.json"):
        key_file.load(tmp_path, {})


def test_a_key_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    key_file.create(tmp_path)
    (tmp_path / "keys.json").chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        key_file.load(tmp_path, {})


def test_the_environment_comes_first(tmp_path: Path) -> None:
    kept = key_file.create(tmp_path)
    given = key_file.load(tmp_path, {"POSTMILL_SECRET_KEY": "sb_secret_mine", "POSTMILL_ANON_KEY": ""})
    assert given is not None
    assert (given.secret, given.anon) == ("sb_secret_mine", kept.anon)
    other = key_file.load(tmp_path, {"POSTMILL_JWT_SECRET": LONG})
    assert other is not None
    assert other.jwt_secret == LONG
    assert other.anon != kept.anon


def test_a_secret_in_the_environment_is_enough(tmp_path: Path) -> None:
    found = key_file.load(tmp_path, {"POSTMILL_JWT_SECRET": LONG})
    assert found is not None
    assert not (tmp_path / "keys.json").exists()
    with pytest.raises(NotFound, match="POSTMILL_JWT_SECRET"):
        key_file.load(tmp_path, {"POSTMILL_ANON_KEY": "x"})
    with pytest.raises(InvalidOption, match="too short"):
        key_file.load(tmp_path, {"POSTMILL_JWT_SECRET": "short"})


def test_secrets_are_kept_listed_by_digest_and_forgotten(tmp_path: Path) -> None:
    store = Secrets(tmp_path)
    assert store.values() == {}
    store.set({"API_KEY": "hush", "OTHER": ""})
    store.set({"API_KEY": "quiet"})
    assert store.values() == {"API_KEY": "quiet", "OTHER": ""}
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    shown = store.fingerprints()
    assert [each.name for each in shown] == ["API_KEY", "OTHER"]
    assert "quiet" not in repr(shown)
    with pytest.raises(NotFound, match="NOWHERE"):
        store.unset(["OTHER", "NOWHERE"])
    store.unset(["OTHER"])
    assert list(store.values()) == ["API_KEY"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "name",
    ["SUPABASE_URL", "postmill_x", "SB_REGION", "PATH", "HOME", "LD_PRELOAD", "1A", "A B", "", "A=B", "Ä"],
)
def test_names_of_the_host_and_of_nothing_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption):
        Secrets(tmp_path).set({"GOOD": "1", name: "x"})
    assert Secrets(tmp_path).values() == {}


def test_a_nul_can_be_in_no_environment(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="NUL"):
        Secrets(tmp_path).set({"A": "x\0y"})


def test_an_env_file_is_read_as_people_write_it() -> None:
    text = """
# a comment
PLAIN=one two  # trailing
export EXPORTED = spaced
EMPTY=
SINGLE='a # b \\n "c"'
DOUBLE="line\\nnext \\"q\\" \\\\"  # comment
KEY="-----BEGIN
middle
-----END"
HASH=a#b
"""
    assert env_file.parse(text, ".env") == {
        "PLAIN": "one two",
        "EXPORTED": "spaced",
        "EMPTY": "",
        "SINGLE": 'a # b \\n "c"',
        "DOUBLE": 'line\nnext "q" \\',
        "KEY": "-----BEGIN\nmiddle\n-----END",
        "HASH": "a#b",
    }


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"A= # only a comment\nB=2\nC=#x\n", {"A": "", "B": "2", "C": "#x"}),
        ('A=a\u2028b\nB="c\u0085d"\nC=e\x0cf\n'.encode(), {"A": "a\u2028b", "B": "c\u0085d", "C": "e\x0cf"}),
        (b"\xef\xbb\xbfA=1\nB=2\n", {"A": "1", "B": "2"}),
        (b'A=1\r\nB="x\r\ny"\r\n', {"A": "1", "B": "x\ny"}),
        (b"A=1\rB=2\r", {"A": "1", "B": "2"}),
        (b"  export  A = 1 \nA_B\t=\t2\n", {"A": "1", "A_B": "2"}),
        (b"A='it\\'s'\nB=\"C:\\dir\"\nC='a\\nb'\n", {"A": "it's", "B": "C:\\dir", "C": "a\\nb"}),
        (b"A=a=b==\nB=$A${A}\nA=2\n", {"A": "2", "B": "$A${A}"}),
        (b"SUPABASE_URL=http://x\nA=1\nSUPABASE_ANON_KEY=k\n", {"A": "1"}),
        (b"", {}),
    ],
)
def test_an_env_file_says_what_it_says_elsewhere(
    tmp_path: Path, content: bytes, values: dict[str, str]
) -> None:
    """As python-dotenv reads it: a comment after `A=` was the value, and U+2028 ended a line."""
    (tmp_path / ".env").write_bytes(content)
    assert env_file.read(tmp_path / ".env").values == values


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A=1\n\n\nMY-KEY=1\n", "line 4: 'MY-KEY' can't name"),
        (b"A=1\nPATH=/bin\n", "line 2: The name PATH is reserved"),
        (b"A=1\nB=a\0b\n", "line 2: The value of B holds a NUL"),
        (b"A=1\nB=caf\xe9\n", "line 2, is not UTF-8"),
        ("A=1\n".encode("utf-16"), "UTF-16"),
        (b"# c\nMSG='tis the season\nB=2\nNAME=O'Brien\n", "line 2, is not NAME=value"),
        (b'A="a" b\n', "line 1, is not NAME=value"),
        (b"A=1\nexport A\n", "line 2, is not NAME=value"),
    ],
)
def test_what_functions_can_not_have_is_told_with_file_and_line(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    with pytest.raises(InvalidOption) as caught:
        env_file.read(path)
    assert str(path) in caught.value.what
    assert told in caught.value.what


def test_names_that_are_left_out_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".env").write_text("SUPABASE_URL=x\nA=1\n")
    environment = Environment({}, tmp_path, tmp_path / ".env")
    assert environment() == environment() == {"A": "1"}
    assert [record.getMessage() for record in caplog.records] == ["variables.skipped"]
    (tmp_path / ".env").unlink()
    with pytest.raises(NotFound):
        environment()


@pytest.mark.parametrize(
    ("text", "told"),
    [("A=1\nnonsense", "line 2"), ('A="open', "line 1"), ("SB_X=1", "reserved"), ("=x", "line 1")],
)
def test_a_line_that_is_none_is_named(text: str, told: str) -> None:
    with pytest.raises(InvalidOption, match=told):
        env_file.parse(text, ".env")


def test_a_key_set_is_read_from_a_file_or_a_safe_address_only(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": []}))
    for source in ("missing.json", "jwks.json", "http://example.com/jwks", "file:///etc/passwd"):
        with pytest.raises(InvalidOption, match=source.partition("://")[0]):
            jwks.fetch(source, tmp_path)


def test_keys_differ_from_each_other_and_each_time() -> None:
    made = [*keys.make(1.0).roles(), *keys.make(1.0).roles()]
    assert len({key for key, _ in made}) == 8


def test_secrets_that_are_set_at_once_are_all_kept(tmp_path: Path) -> None:
    """Each read the file, added its own and wrote: of 12 set at once 5 were kept."""
    together = threading.Barrier(12)

    def keep(number: int) -> None:
        together.wait()
        Secrets(tmp_path).set({f"N{number}": "x"})

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(keep, range(12)))
    assert len(Secrets(tmp_path).values()) == 12


def test_a_turn_keeps_others_waiting_until_it_ends(tmp_path: Path) -> None:
    """The control of the test before: what is read in a turn is still true when it is written."""
    with ThreadPoolExecutor(1) as pool:
        with private_file.turn(tmp_path):
            kept = Secrets(tmp_path).values()
            late = pool.submit(Secrets(tmp_path).set, {"LATE": "x"})
            assert not wait([late], timeout=0.2).done
            private_file.write(tmp_path / FILE_NAME, kept | {"EARLY": "x"})
        late.result(60)
    assert sorted(Secrets(tmp_path).values()) == ["EARLY", "LATE"]


def test_a_folder_that_can_not_be_locked_has_a_file_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems lock files only."""
    flock = fcntl.flock

    def files_only(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", files_only)
    Secrets(tmp_path).set({"A": "1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".turn", FILE_NAME]


def test_hosts_that_start_at_once_have_the_same_keys(tmp_path: Path) -> None:
    """The second one wrote over the keys that the first one went on to use, or was refused."""
    together = threading.Barrier(8)

    def start(_: int) -> keys.ProjectKeys:
        together.wait()
        return key_file.load_or_create(tmp_path, {})

    with ThreadPoolExecutor(8) as pool:
        assert len({made.secret for made in pool.map(start, range(8))}) == 1


def test_a_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes of a command line that are not UTF-8 come as lone surrogates: no function started with them."""
    with pytest.raises(InvalidOption, match="not UTF-8"):
        Secrets(tmp_path).set({"A": os.fsdecode(b"caf\xe9")})


def test_a_state_folder_that_is_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refused, match="leads nowhere"):
        Secrets(tmp_path / "link").set({"A": "1"})


def test_an_answer_proves_one_host_at_one_address() -> None:
    """Passed on to the real host by another program, the question comes in at another address."""
    identity, challenge = host_proof.new_identity(), host_proof.new_challenge()
    answer = host_proof.prove(identity, challenge, ("127.0.0.1", 5000))
    assert host_proof.is_proven(identity, challenge, ("127.0.0.1", 5000), answer)
    for wrong in (
        (host_proof.new_identity(), challenge, ("127.0.0.1", 5000), answer),
        (identity, host_proof.new_challenge(), ("127.0.0.1", 5000), answer),
        (identity, challenge, ("127.0.0.1", 5001), answer),
        (identity, challenge, ("127.0.0.1", 5000), None),
        (identity, challenge, ("127.0.0.1", 5000), "é"),
    ):
        assert not host_proof.is_proven(*wrong)


def test_a_pipe_of_variables_is_read_once_and_never_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Password managers and ``<(command)`` give a pipe. Without a writer it held the host for ever; read a
    second time it was empty, and the next process had no variables.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    environment = Environment({}, tmp_path, pipe)
    monkeypatch.setattr(env_file, "PIPE_S", 0.05)
    with pytest.raises(NotFound, match="can't be read") as caught:
        environment()
    assert "no program has written" in caught.value.why
    monkeypatch.setattr(env_file, "PIPE_S", 30.0)
    environment = Environment({}, tmp_path, pipe)
    text = "A=" + "x" * 200_000  # more than a pipe holds, so that it comes in parts
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert environment() == {"A": "x" * 200_000}
    writer.join()
    assert environment() == {"A": "x" * 200_000}


def test_a_wait_for_a_pipe_that_was_in_vain_is_not_repeated_by_each_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty functions that start at once would wait for it one after the other."""
    os.mkfifo(tmp_path / "pipe")
    waits: list[Path] = []

    def in_vain(path: Path) -> None:
        waits.append(path)
        raise NotFound(f"{path} can't be read.")

    monkeypatch.setattr(env_file, "read", in_vain)
    environment = Environment({}, tmp_path, tmp_path / "pipe")
    for _ in range(3):
        with pytest.raises(NotFound):
            environment()
    assert len(waits) == 1


def test_other_files_of_the_project_are_no_pipes(tmp_path: Path) -> None:
    """Where one stands instead of a file, it is refused: opening it would wait for a writer."""
    for name in ("secrets.json", "postmill.toml"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(Refused, match="can't be read"):
        private_file.read(tmp_path / "secrets.json")
    with pytest.raises(InvalidOption, match="can't be read"):
        load_settings({}, project=tmp_path)
