-- An id below which no message of a queue was sent at `at` or later, near the first one that was: found by halving the
-- ids, some twenty looks. A message that was sent by a transaction that was open for longer than an hour may be missed:
-- ids are given out while it is open, and its messages bear the time of its start.
-- Called by the statement search_span. Takes no locks. Errors: PM001.
create or replace function postmill._first_id_since(queue text, at timestamptz, lowest bigint, highest bigint)
returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    low  bigint := lowest;
    high bigint := highest + 1;
    half bigint;
begin
    while low < high loop
        half := low + (high - low) / 2;
        -- Where nothing is left, nothing is known: it may be later.
        if postmill._sent_about(queue, half) < at - interval '1 hour' then
            low := half + 1;
        else
            high := half;
        end if;
    end loop;
    return low;
end
$$;
