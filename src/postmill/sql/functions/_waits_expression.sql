-- Whether a message of a queue ($1) waits, as an expression of SQL about the row `alias`: it has a row in blocked, or
-- one in gates that names no claim. `false` where no message of the queue waits, so that no row is looked up. A gate is
-- found by its key: with `claim_id is null` as a condition the planner may walk through all that wait.
-- Called by _in_queue and _search. Takes no locks. Errors: none.
create or replace function postmill._waits_expression(queue text, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (select from postmill._waiting_ids(queue, 1)) then format(
        '(coalesce((select gate.claim_id is null from postmill.gates as gate
                    where gate.queue_name = lower($1) and gate.msg_id = %1$I.msg_id), false)
          or coalesce((select true from postmill.blocked as held_up
                       where held_up.queue_name = lower($1) and held_up.msg_id = %1$I.msg_id), false))', alias)
        else 'false' end;
$$;
