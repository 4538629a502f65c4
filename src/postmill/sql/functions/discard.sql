-- Deletes dead letters that were not replayed: all of the queue's, those named, those that died before
-- `older_than` ago, or those named that did. Returns how many. Their failed attempts stay for as long as the queue's
-- retention says. Messages that wait for the replay of one of them are cancelled: it will never come.
-- Called by people and the command line. Locks: the letters by id; letters that are being replayed at this moment are
-- left alone; then as _release. Errors: PM001 no such queue, PM003 a negative or endless interval.
create or replace function postmill.discard(
    queue      text,
    letter_ids bigint[] default null,
    older_than interval default null
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    perform postmill._named_table(queue);
    if older_than < interval '0' or not isfinite(older_than) then
        raise exception 'older_than is no length of time: %', older_than
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days''.';
    end if;
    return cardinality(postmill._discard(queue, array(
        select candidate.letter_id from postmill.dead_letters as candidate
        where candidate.queue_name = queue and candidate.replayed_at is null
          and (letter_ids is null or candidate.letter_id = any (letter_ids))
          and (older_than is null or candidate.died_at < clock_timestamp() - older_than)
        order by candidate.letter_id for update skip locked)));
end
$$;
