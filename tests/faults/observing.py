"""Everything that can be seen of a queue from outside, read in one statement and compared with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.protocol import Protocol
    from tests.faults.reference_model import Model

_US = "(extract(epoch from {}) * 1000000)::bigint"
_SEEN = f"""
select {_US.format("clock_timestamp()")} as now,
       array(select array[msg_id, read_ct, {_US.format("vt")}] from {{queue}} order by msg_id) as rows,
       array(select msg_id from {{archive}} order by msg_id) as archived,
       array(select jsonb_build_array(msg_id, result) from postmill.results where queue_name = $1) as results,
       array(select jsonb_build_array(claim_id, worker_id, msg_ids, read_cts, {_US.format("claimed_at")})
               from postmill.claims where queue_name = $1) as claims,
       array(select jsonb_build_array(msg_id, attempt, worker_id, kind)
               from postmill.failures where queue_name = $1) as failures,
       array(select jsonb_build_array(msg_id, attempts, kind, replayed_as)
               from postmill.dead_letters where queue_name = $1) as letters,
       array(select jsonb_build_array(msg_id, cancelled_at is not null)
               from postmill.cancellations where queue_name = $1) as cancellations,
       array(select jsonb_build_array(worker_id, stop_reason, {_US.format("last_heartbeat_at")},
                                      {_US.format("stopped_at")})
               from postmill.workers where queue_name = $1) as workers,
       array(select jsonb_build_array(msg_id, state, attempts)
               from postmill.messages($1, max_rows => 10000)) as states
"""


def observe(protocol: Protocol) -> dict[str, Any]:
    """The queue as it is now."""
    shape = protocol.shape
    text = _SEEN.replace("{queue}", shape.queue).replace("{archive}", shape.archive)
    seen = protocol.db.execute(text.encode(), [protocol.queue]).fetchone()
    assert seen is not None
    return seen


def compare(model: Model, seen: dict[str, Any], before: int) -> None:
    """The tables are what the model says. Moments that a statement took from the clock lie between ``before``
    and now; the model learns them.
    """
    _compare_rows(model, seen, before)
    assert seen["archived"] == sorted(model.archived)
    assert dict(seen["results"]) == model.results
    assert sorted(seen["failures"]) == sorted(
        [each.msg_id, each.attempt, each.worker, each.kind] for each in model.failures
    )
    assert sorted(seen["letters"], key=_first) == [
        [msg_id, letter.attempts, letter.kind, letter.replayed_as]
        for msg_id, letter in sorted(model.letters.items())
    ]
    assert dict(seen["cancellations"]) == model.cancellations
    _compare_claims(model, seen, before)
    _compare_workers(model, seen, before)
    assert {msg_id: (state, tries) for msg_id, state, tries in seen["states"]} == model.states(seen["now"])
    _compare_places(model, seen)


def _compare_rows(model: Model, seen: dict[str, Any], before: int) -> None:
    assert [row[:2] for row in seen["rows"]] == [
        [row.msg_id, row.read_ct] for row in sorted(model.rows.values(), key=lambda row: row.msg_id)
    ]
    for msg_id, _, vt in seen["rows"]:
        row = model.rows[msg_id]
        late = vt - row.vt
        assert 0 <= late <= (seen["now"] - before if msg_id in model.unsure else 0), (msg_id, late)
        row.vt = vt
        model.unsure.discard(msg_id)


def _compare_claims(model: Model, seen: dict[str, Any], before: int) -> None:
    assert sorted(claim_id for claim_id, *_ in seen["claims"]) == sorted(model.claims)
    for claim_id, worker, msg_ids, read_cts, claimed_at in seen["claims"]:
        claim = model.claims[claim_id]
        assert (worker, dict(zip(msg_ids, read_cts, strict=True))) == (claim.worker, claim.held)
        assert claim.claimed_at in {claimed_at, before}
        claim.claimed_at = claimed_at


def _compare_workers(model: Model, seen: dict[str, Any], before: int) -> None:
    assert {worker_id: reason for worker_id, reason, _, _ in seen["workers"]} == {
        worker_id: ("silence" if worker.silent else "crash") if worker.stopped else None
        for worker_id, worker in model.workers.items()
    }
    for worker_id, _, last_heartbeat_at, stopped_at in seen["workers"]:
        worker = model.workers[worker_id]
        assert worker.last_heartbeat_at in {last_heartbeat_at, before}
        worker.last_heartbeat_at = last_heartbeat_at
        if stopped_at is not None:
            assert worker.stopped_at in {stopped_at, before}
            worker.stopped_at = stopped_at


def _compare_places(model: Model, seen: dict[str, Any]) -> None:
    """Every message that was ever committed is in exactly one place."""
    places = [
        *(msg_id for msg_id, *_ in seen["rows"]),
        *seen["archived"],
        *(msg_id for msg_id, *_ in seen["letters"]),
        *(msg_id for msg_id, cancelled in seen["cancellations"] if cancelled),
        *model.deleted,
    ]
    uncommitted = {msg_id for rows in model.unseen.values() for msg_id in rows} | model.rolled_back
    assert sorted(places) == [n for n in range(1, model.sequence + 1) if n not in uncommitted]


def _first(values: list[Any]) -> Any:
    return values[0]
