-- About how many messages of a queue run now, at most `most`: of more than 500 claimed ids the first 500 are looked up
-- and stand for the rest, a millisecond at most. Of more than 500, at least one runs. The claims are read here and not
-- through _claimed, which would take every id apart.
-- Called by desired_workers. Takes no locks. Errors: none.
create or replace function postmill._about_running(queue text, relation regclass, most integer) returns float8
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    looked_up constant integer := 500;
    claimed   bigint;
    found     integer;
begin
    select sum(cardinality(claim.msg_ids)) into claimed from postmill.claims as claim where claim.queue_name = queue;
    if claimed is null then
        return 0;
    end if;
    execute format(
        'select count(*)
         from (
             select each.msg_id, each.read_ct
             from postmill.claims as claim
             cross join lateral unnest(claim.msg_ids, claim.read_cts) as each (msg_id, read_ct)
             where claim.queue_name = $1 limit $2
         ) as held
         cross join lateral (
             select from %s as queued
             where queued.msg_id = held.msg_id and queued.read_ct = held.read_ct and queued.vt > statement_timestamp()
             limit 1
         ) as there',
        relation)
    into found using queue, looked_up;
    if claimed <= looked_up then
        return found;
    end if;
    return least(most, greatest(1, found * (claimed::float8 / looked_up)));
end
$$;
