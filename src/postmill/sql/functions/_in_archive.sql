-- A page of the messages that are in the queue's archive, newest first; nothing when the archive was taken away.
-- `headers` is read through to_jsonb(), since older pgmq has no such column.
-- Called by messages. Takes no locks. Errors: none.
create or replace function postmill._in_archive(
    queue text, max_rows integer, only_id bigint, before_id bigint
) returns table (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, message jsonb, headers jsonb, finished_at timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    archive regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
begin
    if archive is null then
        return;
    end if;
    return query execute format(
        'select done.msg_id, done.read_ct, done.enqueued_at, done.message,
             nullif(to_jsonb(done) -> ''headers'', ''null''), done.archived_at
         from %s as done
         where ($2 is null or done.msg_id = $2) and ($3 is null or done.msg_id < $3)
         order by done.msg_id desc limit $1',
        archive)
    using max_rows, only_id, before_id;
end
$$;
