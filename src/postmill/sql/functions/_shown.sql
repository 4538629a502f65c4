-- JSON as lists show it: itself, or why it can't be shown, so that one value hides no other. Called by messages and by
-- the statements that read dead letters. Takes no locks. Errors: none.
create or replace function postmill._shown(value jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    perform octet_length(value::text);  -- numbers are written out: a few bytes may be more than 1 GB of text
    return value;
exception when program_limit_exceeded or out_of_memory then
    return to_jsonb('(too large to be shown: ' || sqlerrm || ')');
end
$$;
