-- Which of the messages `ids` are in their queue's table; none of a queue that is gone.
-- Called by _unfinished_run and tidy_schedule_runs. Takes no locks. Errors: none of its own.
create or replace function postmill._queued(queue text, ids bigint[]) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := to_regclass(format('pgmq.%I', lower('q_' || coalesce(queue, ''))));
    found    bigint[] := '{}';
begin
    if relation is not null then
        execute format('select array(select msg_id from %s where msg_id = any ($1))', relation) into found using ids;
    end if;
    return found;
end
$$;
