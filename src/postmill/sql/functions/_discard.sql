-- Deletes dead letters of a queue, and returns their ids. Messages that wait for the replay of one are cancelled.
-- Called by discard and _operate, which hold the letters. Locks: as _release. Errors: none.
create or replace function postmill._discard(queue text, letter_ids bigint[]) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    discarded bigint[];
    sources   bigint[];
begin
    with gone as (
        delete from postmill.dead_letters as letter where letter.letter_id = any (letter_ids)
        returning letter.letter_id, letter.msg_id, letter.headers
    )
    select coalesce(array_agg(gone.letter_id), '{}'), array_agg(gone.msg_id order by gone.msg_id) filter (
        where gone.headers ? 'postmill-dependents' or jsonb_typeof(gone.headers) <> 'object')
    into discarded, sources
    from gone;
    perform postmill._release(queue, sources, 'deleted');
    return discarded;
end
$$;
