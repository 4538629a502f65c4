"""Supaqueue's tables after pg_dump and a restore: the same ids, and they can be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate, remove_facades
from tests.faults.restoring import restored_copy
from tests.servers import session
from tests.sql.asking import Database, rows, value

if TYPE_CHECKING:
    from postmill.embedded.binaries import Binaries

SETUP = """
insert into supaqueue.queue (edge_function_name) values ('resize');
insert into supaqueue.worker (queue) select queue.id from supaqueue.queue, generate_series(1, 3);
delete from supaqueue.worker where id = (select min(id::text)::uuid from supaqueue.worker);
insert into supaqueue.job (queue, status) select queue.id, null from supaqueue.queue, generate_series(1, 2);
insert into supaqueue.job_dependencies (source, target)
select min(id::text)::uuid, max(id::text)::uuid from supaqueue.job
"""
WHOLE = """
select jsonb_agg(to_jsonb(job) order by job.id) as jobs,
       (select jsonb_agg(to_jsonb(queue)) from supaqueue.queue) as queues,
       (select jsonb_agg(to_jsonb(worker) order by worker.id) from supaqueue.worker) as workers,
       (select jsonb_agg(to_jsonb(edge)) from supaqueue.job_dependencies as edge) as edges
from supaqueue.job
"""


def test_a_restored_database_has_the_same_ids(
    db: Database, database_url: str, postgres_binaries: Binaries
) -> None:
    migrate(db, wanted=[named("supaqueue")])
    db.execute(SETUP.encode())
    with restored_copy(database_url, postgres_binaries) as url, session(url) as copy:
        assert rows(copy, WHOLE) == rows(db, WHOLE)
        copy.execute(b"update supaqueue.job set status = 'pending' where status is null")
        copy.execute(b"insert into supaqueue.job (queue) select id from supaqueue.queue")
        assert value(copy, "select count(distinct id) from supaqueue.job where status = 'pending'") == 3
        assert migrate(copy).steps == ()
        remove_facades(copy, [named("supaqueue")])
        assert value(copy, "select to_regnamespace('supaqueue')") is None
