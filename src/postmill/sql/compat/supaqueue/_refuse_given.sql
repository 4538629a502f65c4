-- Refuses a value for a column whose value follows from others.
-- Called by the trigger functions. Takes no locks. Errors: PM003, always.
create or replace function supaqueue._refuse_given(what text, why text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% can''t be written', what using errcode = 'PM003', hint = why;
end
$$;
revoke execute on function supaqueue._refuse_given from public;
comment on function supaqueue._refuse_given is 'Facade supaqueue of Postmill: refuses a value that can''t be written.';
