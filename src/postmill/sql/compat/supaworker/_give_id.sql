-- Gives a job of public.supaworker_jobs its id. Supaworker's migration makes the column an identity, which a default or
-- an identity of ours would stop; from then on no job comes here without an id.
-- Called by the trigger supaworker_id, with its owner's rights: who inserts needs none on the sequence. Takes no locks.
-- Errors: none.
create or replace function supaworker._give_id() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    new.id := nextval('supaworker.first_ids');
    return new;
end
$$;
revoke execute on function supaworker._give_id from public;
comment on function supaworker._give_id is 'Facade supaworker of Postmill: gives a job its id.';
