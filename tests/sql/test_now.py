from __future__ import annotations

from tests.sql.asking import Database, value


def test_is_the_servers_clock(db: Database) -> None:
    with db.transaction():
        assert value(db, "select postmill.now() between now() and clock_timestamp()")


def test_a_test_can_shift_it(db: Database) -> None:
    db.execute(b"set postmill.clock_shift = '1 day'")
    assert value(db, "select postmill.now() - clock_timestamp() between '23:59' and '1 day'")
    db.execute(b"reset postmill.clock_shift")
    assert value(db, "select postmill.now() <= clock_timestamp()")
