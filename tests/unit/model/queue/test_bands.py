"""How far a worker has come in each band; and against every order in which transactions can commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.queue.bands import BEGINNING, REVISIT_S, REVISIT_SHARE, BandEdges
from postmill.model.queue.cursor import LOWEST, OVERLAP

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_new_worker_begins_at_the_beginning_of_each_band() -> None:
    """Messages may have waited for longer than any worker is there."""
    edges = BandEdges()
    assert edges.vts == [BEGINNING] * 9
    assert edges.ids == [LOWEST] * 9


def test_a_claim_moves_the_edge_of_its_band_only() -> None:
    edges = BandEdges()
    edges.seen(9, (at(-60), 7), NOW)
    assert edges.edges[9] == (at(-60), 7)
    assert edges.edges[8] == (BEGINNING, LOWEST)


def test_messages_of_one_moment_are_told_apart_by_id() -> None:
    """One statement sends all its messages with one vt: they were all passed again at each claim."""
    edges = BandEdges()
    edges.seen(9, (at(-60), 7), NOW)
    edges.seen(9, (at(-60), 500), NOW)
    assert edges.edges[9] == (at(-60), 500)


def test_an_edge_stays_behind_the_clock() -> None:
    edges = BandEdges()
    edges.seen(9, (at(-0.1), 7), NOW)
    edges.seen_all(8, NOW)
    assert edges.edges[9] == edges.edges[8] == (NOW - OVERLAP, LOWEST)


def test_an_edge_does_not_go_back_by_a_claim() -> None:
    edges = BandEdges()
    edges.seen(9, (at(-60), 7), NOW)
    edges.seen(9, (at(-90), 9), NOW)
    assert edges.edges[9] == (at(-60), 7)


def test_what_a_slow_transaction_wrote_is_looked_at_when_it_ends() -> None:
    """It was first seen at 10, so all its messages have a vt after the poll at 5."""
    edges = BandEdges()
    for second, writers in [(0, []), (5, []), (10, ["slow"]), (60, ["slow"])]:
        edges.looked(at(second), writers)
    edges.seen_all(9, at(90))
    assert edges.edges[9] == (at(90) - OVERLAP, LOWEST)
    edges.looked(at(100), [])
    assert edges.edges[9] == (at(5) - OVERLAP, LOWEST)


def test_a_writer_of_the_first_look_may_have_begun_at_any_time() -> None:
    edges = BandEdges()
    edges.looked(at(0), ["slow"])
    edges.seen_all(9, at(1))
    edges.looked(at(2), [])
    assert edges.edges[9] == (BEGINNING - OVERLAP, LOWEST)


def test_transactions_between_two_looks_are_looked_at() -> None:
    edges = BandEdges()
    edges.looked(at(0), [])
    edges.seen_all(9, at(100))
    edges.looked(at(100), [])
    assert edges.edges[9] == (at(0) - OVERLAP, LOWEST)


def test_the_edges_follow_a_clock_that_is_set_back() -> None:
    edges = BandEdges()
    edges.looked(at(3600), [])
    edges.seen_all(9, at(3600))
    edges.looked(at(0), [])
    assert edges.edges[9] == (at(0) - OVERLAP, LOWEST)


def test_from_time_to_time_the_bands_are_looked_through_from_their_beginning() -> None:
    edges = BandEdges()
    edges.seen_all(9, NOW)
    assert not edges.revisit(100.0)
    assert not edges.revisit(100.0 + REVISIT_S - 0.1)
    assert edges.edges[9] == (NOW - OVERLAP, LOWEST)
    assert edges.revisit(100.0 + REVISIT_S)
    assert edges.edges[9] == (BEGINNING - OVERLAP, LOWEST)


def test_that_look_is_seldom_where_it_takes_long() -> None:
    """While an old transaction keeps dead rows, it reads all of them."""
    edges = BandEdges()
    edges.revisit(0.0)
    assert edges.revisit(10.0)
    edges.revisited(0.5, 10.5)
    assert not edges.revisit(10.5 + 0.5 * REVISIT_SHARE - 1)
    assert edges.revisit(10.5 + 0.5 * REVISIT_SHARE)


class Server:
    """Transactions that take a vt, stay open, and commit; a worker that claims from one band and polls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.edges = BandEdges()
        self.open: dict[str, tuple[float, int]] = {}
        self.visible: dict[int, float] = {}
        self.served: set[int] = set()
        self.names = 0

    def begin(self) -> None:
        """A transaction sends: it holds the lock on the table before it takes the time."""
        self.names += 1
        self.open[f"t{self.names}"] = (self.now, self.names)

    def commit(self, which: int) -> None:
        if self.open:
            name = sorted(self.open)[which % len(self.open)]
            vt, msg_id = self.open.pop(name)
            self.visible[msg_id] = vt

    def claim(self, limit: int) -> None:
        edge = self.edges.edges[9]
        ready = sorted((at(vt), msg_id) for msg_id, vt in self.visible.items() if (at(vt), msg_id) > edge)
        taken = ready[:limit]
        for _, msg_id in taken:
            self.served.add(msg_id)
            del self.visible[msg_id]
        if len(taken) < limit:
            self.edges.seen_all(9, at(self.now))
        else:
            self.edges.seen(9, taken[-1], at(self.now))

    def look(self) -> None:
        self.edges.looked(at(self.now), list(self.open))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 100)),
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.just("commit"), st.integers(0, 5)),
        st.tuples(st.just("claim"), st.integers(1, 3)),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=400)
def test_whatever_commits_when_is_found_after_two_looks(steps: list[tuple[str, int]]) -> None:
    """The band alone finds every message, without a look from the beginning and without the plain lanes."""
    server = Server()
    for step, number in steps:
        if step == "pass":
            server.now += number / 10
        elif step in {"commit", "claim"}:
            getattr(server, step)(number)
        else:
            getattr(server, step)()
    while server.open:
        server.commit(0)
    for _ in range(2):
        server.look()
        server.claim(1_000)
    assert server.visible == {}
    assert len(server.served) == server.names
