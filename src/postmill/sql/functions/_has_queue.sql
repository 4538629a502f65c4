-- Whether there is a queue of that name. Called by _lost_tasks and _blocked. Takes no locks. Errors: none.
create or replace function postmill._has_queue(queue text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select to_regclass(format('pgmq.%I', lower('q_' || queue))) is not null;
$$;
