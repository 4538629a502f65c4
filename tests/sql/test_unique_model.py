"""Unique keys beside a model in plain Python: whatever is done in whatever order, both say the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import FIRST_FAILURE
from tests.sql.asking import Database, claim, column, rows

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_S = 3600
KEYS = st.sampled_from(["a", "b", "c"])
MODES = st.sampled_from(["skip", "replace", "raise"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(KEYS | st.none(), min_size=1, max_size=5), MODES, st.booleans()),
        st.tuples(st.sampled_from(["delete", "archive", "run", "read"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["pass an hour", "prune", "roll back"])),
    ),
    min_size=1,
    max_size=12,
)


class Taken(Exception):
    """A key was taken, and that was to be an error."""


@dataclass(slots=True)
class Row:
    """A message in the queue."""

    payload: int
    waits: bool = True


@dataclass(slots=True)
class Model:
    """What a queue with unique keys is: messages in the order of their sends, and who holds each key."""

    rows: dict[int, Row] = field(default_factory=dict)
    keys: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    now_s: int = 0
    names: int = 0

    def send(self, keys: list[str | None], payloads: list[int], mode: str, for_an_hour: bool) -> list[Any]:
        """One send after the other; each message has a name until it has an id."""
        found = []
        for key, payload in zip(keys, payloads, strict=True):
            holder = self._holder(key)
            if holder is not None and mode == "raise":
                raise Taken
            row = None if holder is None else self.rows.get(holder)
            if holder is not None and mode == "replace":
                if row is not None and row.waits:
                    row.payload = payload
                    self.keys[str(key)] = (holder, self._ends(for_an_hour))
                else:
                    holder = None
            found.append((self._new(key, payload, for_an_hour), False) if holder is None else (holder, True))
        return found

    def _holder(self, key: str | None) -> int | None:
        if key not in self.keys:
            return None
        holder, ends = self.keys[key]
        return holder if (ends > self.now_s if ends is not None else holder in self.rows) else None

    def _new(self, key: str | None, payload: int, for_an_hour: bool) -> int:
        self.names += 1
        self.rows[self.names] = Row(payload)
        if key is not None:
            self.keys[key] = (self.names, self._ends(for_an_hour))
        return self.names

    def _ends(self, for_an_hour: bool) -> int | None:
        return self.now_s + HOUR_S if for_an_hour else None


def send(db: Database, step: tuple[Any, ...], payloads: list[int]) -> list[Any]:
    """The same in the database."""
    _, keys, mode, for_an_hour = step
    found = rows(
        db,
        "select * from postmill.send_jobs('re-size', array(select to_jsonb(n) from unnest($1::int[]) as n), "
        "unique_keys => $2::text[], on_conflict => $3, unique_for => $4)",
        payloads,
        keys,
        mode,
        "1 hour" if for_an_hour else None,
    )
    return [(each["msg_id"], each["existed"]) for each in found]


def change(db: Database, model: Model, ids: dict[int, int], step: tuple[Any, ...]) -> None:
    """Do what is no send, in both."""
    if step[0] == "pass an hour":
        model.now_s += HOUR_S
        db.execute(f"set postmill.clock_shift = '{model.now_s + model.now_s // HOUR_S} s'".encode())
    elif step[0] == "prune":
        db.execute(b"update postmill.prunings set due_at = '-infinity'")
        db.execute(b"select postmill.prune()")
    elif step[0] != "roll back" and model.rows:
        name = sorted(model.rows)[step[1] % len(model.rows)]
        if step[0] in {"delete", "archive"}:
            db.execute(f"select pgmq.{step[0]}('re-size', $1::bigint)".encode(), [ids[name]])
            del model.rows[name]
        elif model.rows[name].waits:
            model.rows[name].waits = False
            run(db, ids[name], step[0])


def run(db: Database, msg_id: int, how: str) -> None:
    """Make it run: by a worker of ours, or read by another client."""
    if how == "run":
        claim(db, "re-size", msg_id)
    else:
        db.execute(
            b'update pgmq."q_re-size" set read_ct = read_ct + 1, last_read_at = clock_timestamp(), '
            b"vt = clock_timestamp() + interval '1 hour' where msg_id = $1",
            [msg_id],
        )


@settings(FIRST_FAILURE, max_examples=60)
@given(steps=STEPS)
def test_the_database_does_what_the_model_does(db: Database, queue: str, steps: list[Any]) -> None:
    db.execute(b'truncate pgmq."q_re-size", postmill.unique_keys, postmill.claims')
    db.execute(b"set postmill.clock_shift = '0 s'")
    model, ids, payload = Model(), dict[int, int](), 0
    for number, step in enumerate(steps):
        if step[0] != "send":
            change(db, model, ids, step)
            continue
        payloads = list(range(payload + 1, payload + 1 + len(step[1])))
        payload += len(payloads)
        if number and steps[number - 1][0] == "roll back":
            roll_back(db, step, payloads)
            continue
        check_send(db, model, ids, step, payloads)
        expected = [model.rows[name].payload for name in sorted(model.rows)]
        assert column(db, 'select message from pgmq."q_re-size" order by msg_id') == expected


def check_send(
    db: Database, model: Model, ids: dict[int, int], step: tuple[Any, ...], payloads: list[int]
) -> None:
    """Send in both, and compare the answers."""
    before = Model({n: Row(r.payload, r.waits) for n, r in model.rows.items()}, dict(model.keys), model.now_s)
    before.names = model.names
    try:
        expected = model.send(step[1], payloads, step[2], step[3])
    except Taken:
        model.rows, model.keys, model.names = before.rows, before.keys, before.names
        assert state_of(lambda: send(db, step, payloads)) == "PM007"
        return
    found = send(db, step, payloads)
    for (name, _), (msg_id, _) in zip(expected, found, strict=True):
        assert ids.setdefault(name, msg_id) == msg_id
    assert [existed for _, existed in found] == [existed for _, existed in expected]


def state_of(do: Callable[[], object]) -> str | None:
    """The SQLSTATE of the error that it ends in."""
    try:
        do()
    except psycopg.Error as error:
        return error.sqlstate
    return None


def roll_back(db: Database, step: tuple[Any, ...], payloads: list[int]) -> None:
    """Send in a transaction that is rolled back."""
    db.execute(b"begin")
    assert state_of(lambda: send(db, step, payloads)) in {None, "PM007"}
    db.execute(b"rollback")
