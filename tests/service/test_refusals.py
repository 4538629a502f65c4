"""A server that lets nobody in, in a language that we don't know: its SQLSTATE tells what it means."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from postmill.db.tools.connect import connect
from postmill.model.config.address import parse
from postmill.model.errors import DatabaseUnavailable, LoginFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


@contextmanager
def refusing(state: str, words: str) -> Iterator[str]:
    """The address of a server that answers each login with this error."""
    fields = {"S": "致命错误", "C": state, "M": words}
    if state:
        fields["V"] = "FATAL"
    body = b"".join(key.encode() + value.encode() + b"\0" for key, value in fields.items()) + b"\0"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=_answer, args=(listening, body), daemon=True)
        answering.start()
        yield f"postgresql://somebody@127.0.0.1:{listening.getsockname()[1]}/db"
        listening.shutdown(socket.SHUT_RDWR)
        answering.join()


def _answer(listening: socket.socket, body: bytes) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client, client.makefile("rwb") as wire:
            while (head := wire.read(4)) and (request := wire.read(int.from_bytes(head) - 4)):
                if int.from_bytes(request[:4]) not in {SSL_REQUEST, GSS_REQUEST}:
                    wire.write(b"E" + (len(body) + 4).to_bytes(4) + body)
                    wire.flush()
                    break
                wire.write(b"N")
                wire.flush()


@pytest.mark.parametrize(
    ("state", "kind", "hint"),
    [
        ("28P01", LoginFailed, "password"),
        ("3D000", LoginFailed, "createdb"),
        ("28000", LoginFailed, "pg_hba.conf"),
        ("57P03", DatabaseUnavailable, "that the server runs"),
        ("53300", DatabaseUnavailable, "that the server runs"),
    ],
)
def test_a_refusal_is_told_by_its_sqlstate(state: str, kind: type[DatabaseUnavailable], hint: str) -> None:
    with refusing(state, "不行") as url, pytest.raises(DatabaseUnavailable) as raised:
        connect(parse(url))
    assert type(raised.value) is kind
    assert "不行" in raised.value.why
    assert hint in raised.value.hint
