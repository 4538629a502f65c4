-- Messages of a queue with ids from `low` to `high` that match, newest first, at most `most`, wherever they are: in the
-- queue, its archive, the dead letters, the cancellations, or only a kept result. One statement looks into all of them,
-- and no message is in two: while they move, none is missed and none comes twice. `ids`: only these (null: all).
-- `fields` and `words`: see _wanted_expression. The caller bounds the ids.
-- Called by the statement search_window. Takes no locks. Errors: PM001.
create or replace function postmill._search(
    queue text, low bigint, high bigint, ids bigint[], only_state text, since timestamptz, until timestamptz,
    fields jsonb, words text[], most integer
) returns table (
    msg_id bigint, state text, attempts integer, read_ct integer, enqueued_at timestamptz, vt timestamptz,
    worker_id uuid, last_error text, finished_at timestamptz, message jsonb, headers jsonb
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    archive  constant regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    matches  constant text := postmill._wanted_expression('found', fields, words);
    waits    constant text := postmill._waits_expression(queue, 'found');
    sources  text[];
begin
    select array_agg(format(
        'select found.* from (%s) as found (
             msg_id, state, read_ct, enqueued_at, vt, message, headers, finished_at, attempts, reason)
         where found.msg_id >= $2 and found.msg_id <= $3 and ($4 is null or found.msg_id = any ($4))
           and ($6 is null or found.enqueued_at >= $6) and ($7 is null or found.enqueued_at < $7) %s',
        source.text, matches))
    into sources
    from (
        select format(
            'select queued.msg_id, null::text, queued.read_ct, queued.enqueued_at, queued.vt, queued.message,
                 %s, null::timestamptz, null::integer, null::text
             from %s as queued', postmill._headers_column(relation, 'queued'), relation) as text, true as is_live
        union all
        select format(
            'select done.msg_id, ''completed'', done.read_ct, done.enqueued_at, null::timestamptz, done.message,
                 %s, done.archived_at, null::integer, null::text
             from %s as done where ($5 is null or $5 = ''completed'') %s',
            postmill._headers_column(archive, 'done'), archive,
            postmill._indexed(queue, fields, archive, 'done')), false
        where archive is not null
        union all
        select format(
            'select letter.msg_id, ''dead'', letter.read_ct, letter.enqueued_at, null::timestamptz, letter.message,
                 letter.headers, letter.died_at, letter.attempts, letter.reason
             from postmill.dead_letters as letter
             where letter.queue_name = $1 and letter.replayed_at is null and ($5 is null or $5 = ''dead'') %s',
            postmill._indexed(queue, fields, 'postmill.dead_letters', 'letter')), false
        union all
        select 'select gone.msg_id, ''cancelled'', null::integer, gone.enqueued_at, null::timestamptz, gone.message,
                    gone.headers, gone.cancelled_at, null::integer, null::text
                from postmill.cancellations as gone
                where gone.queue_name = $1 and gone.cancelled_at is not null
                  and ($5 is null or $5 = ''cancelled'')', false
        union all
        select format(
            'select kept.msg_id, ''completed'', null::integer, null::timestamptz, null::timestamptz, null::jsonb,
                 null::jsonb, kept.completed_at, null::integer, null::text
             from postmill.results as kept
             where kept.queue_name = $1 and ($5 is null or $5 = ''completed'') %s',
            case when archive is not null then
                format('and not exists (select from %s as done where done.msg_id = kept.msg_id)', archive) end),
            false
    ) as source
    where not source.is_live or only_state is null or only_state not in ('completed', 'dead', 'cancelled');
    return query execute
        'with page as materialized (
             select found.*, holder.worker_id from (' || array_to_string(sources, ' union all ') || ') as found
             left join postmill._claimed($1) as holder on holder.msg_id = found.msg_id and found.state is null
                  and holder.read_ct = found.read_ct
             where $5 is null or found.state = $5 or found.state is null
                   and $5 = postmill._state(found.read_ct, found.vt, holder.worker_id, ' || waits || ')
             order by found.msg_id desc limit $8
         ), known as (
             select found.*, coalesce(found.state, postmill._state(
                 found.read_ct, found.vt, found.worker_id, ' || waits || ')) as its_state
             from page as found
         )
         select known.msg_id, known.its_state,
             coalesce(known.attempts, tried.times + (known.its_state in (''running'', ''completed''))::integer),
             known.read_ct, known.enqueued_at, known.vt,
             case when known.its_state = ''running'' then known.worker_id end,
             coalesce(known.reason, tried.last_error), known.finished_at, postmill._shown(known.message),
             postmill._shown(known.headers)
         from known
         cross join lateral postmill._tried($1, known.msg_id, known.enqueued_at) as tried
         order by known.msg_id desc'
    using queue, low, high, ids, only_state, since, until, most;
end
$$;
