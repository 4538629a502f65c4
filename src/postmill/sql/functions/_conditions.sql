-- The conditions of an operation's filter, as SQL over a row `item`, in which $1 is the filter and $2 the queue. This
-- is the one place that gives the keys a meaning; all that are given must hold:
--   ids          numbers of messages, or of dead letters for replay and discard (_matching walks along them)
--   msg_ids      the lowest and the highest id of a message, of letters too
--   state        a state, or several: scheduled, ready, running, retrying, waiting (a letter is dead, and has no other)
--   payload      the payload contains it (@>)
--   headers      the headers contain it (@>)
--   since, until a moment: when it was sent, and when a letter died; `until` itself is left out
--   sent_since, sent_until  the same of when it was sent, of letters too
--   fields, words  places with values, and parts of the payload's text: see _wanted_expression
--   fingerprint  a failed attempt at it, of those that are kept, has it: see _add_fingerprint
--   error        a failed attempt at it, or what a letter died of, says this, in its type or message; any case
-- Called by _matching. Takes no locks. Errors: none.
create or replace function postmill._conditions(filter jsonb, letters boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg('and ' || known.condition, ' '), '') || postmill._wanted_expression(
               'item', coalesce(filter -> 'fields', '{}'), array(select jsonb_array_elements_text(filter -> 'words')))
    from (values
        ('state', case when letters
            then '$1 -> ''state'' @> ''"dead"'''
            else '$1 -> ''state'' @> to_jsonb(postmill._state(
                      item.read_ct, item.vt,
                      case when (item.id, item.read_ct) in (select held.msg_id, held.read_ct
                                                            from postmill._claimed($2) as held)
                           then ''00000000-0000-0000-0000-000000000000''::uuid end,
                      coalesce((select gate.claim_id is null from postmill.gates as gate
                                where gate.queue_name = lower($2) and gate.msg_id = item.id), false)
                      or exists (select from postmill.blocked as held
                                 where held.queue_name = lower($2) and held.msg_id = item.id)))' end),
        ('msg_ids', 'item.msg_id between ($1 #>> ''{msg_ids,0}'')::bigint and ($1 #>> ''{msg_ids,1}'')::bigint'),
        ('payload', 'item.message @> ($1 -> ''payload'')'),
        ('headers', 'item.headers @> ($1 -> ''headers'')'),
        ('since', 'item.since >= ($1 ->> ''since'')::timestamptz'),
        ('until', 'item.since < ($1 ->> ''until'')::timestamptz'),
        ('sent_since', 'item.sent_at >= ($1 ->> ''sent_since'')::timestamptz'),
        ('sent_until', 'item.sent_at < ($1 ->> ''sent_until'')::timestamptz'),
        ('fingerprint', 'exists (select from postmill.failures as failed
                                 where failed.queue_name = $2 and failed.msg_id = item.msg_id
                                   and failed.fingerprint = $1 ->> ''fingerprint'')'),
        ('error', '(strpos(lower(item.said), lower($1 ->> ''error'')) > 0
                    or exists (select from postmill.failures as failed
                               where failed.queue_name = $2 and failed.msg_id = item.msg_id
                                 and strpos(lower(concat_ws('': '', failed.error_type, failed.error_message)),
                                            lower($1 ->> ''error'')) > 0))')
    ) as known (key, condition)
    where filter ? known.key;
$$;
