-- Refuses what a run can't be started with.
-- Called by start_flow. Takes no locks. Errors: PM003.
create or replace function postmill._check_start(
    input jsonb, key text, delay interval, tags text[], deadline interval, priority integer
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong constant text := case
        when input is null then 'the input is null'
        when length(key) not between 1 and 200 then format('the key has %s characters', length(key))
        when delay < interval '0' then format('the delay %s is negative', delay)
        when deadline <= interval '0' then format('the deadline %s is not positive', deadline)
        when delay > interval '100 years' or deadline > interval '100 years' then 'a time is over a hundred years'
        when priority not between 0 and 9 then format('the priority is %s', priority)
        when array_position(tags, null) is not null then 'a tag is null'
        end;
begin
    if wrong is not null then
        raise exception '%', wrong
            using errcode = 'PM003',
                  hint = 'The input is JSON (''null''::jsonb for nothing), a key has 1 to 200 characters, the delay is '
                         '0 or more, the deadline more than 0, a priority 0 to 9.';
    end if;
end
$$;
