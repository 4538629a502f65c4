-- The numbers of a queue's workers: the first `workers` of those that were written down, and the lowest free ones
-- where these are too few.
-- Called by the views worker and current_job, _add_worker and _remove_worker. Takes no locks. Errors: none.
create or replace function supaqueue._numbers(queue uuid, workers integer) returns integer[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with kept as (
        select coalesce((select known.numbers from supaqueue.worker_numbers as known
                         where known.queue = _numbers.queue), '{}') as numbers
    )
    select array(
        select named.number
        from (select stored.number, stored.place
              from kept, unnest(kept.numbers) with ordinality as stored (number, place)
              union all
              select free.number, cardinality(kept.numbers) + free.number
              from kept, generate_series(1, cardinality(kept.numbers) + workers) as free (number)
              where free.number <> all (kept.numbers)) as named
        order by named.place limit workers);
$$;
revoke execute on function supaqueue._numbers from public;
comment on function supaqueue._numbers is 'Facade supaqueue of Postmill: the numbers of a queue''s workers.';
