-- The conditions of an operation's filter, as SQL over a row `item`, in which $1 is the filter and $2 the queue. This
-- is the one place that gives the keys a meaning; all that are given must hold:
--   ids          numbers of messages, or of dead letters for replay and discard (_matching walks along them)
--   state        a state, or several: scheduled, ready, running, retrying, waiting (a letter is dead, and has no other)
--   payload      the payload contains it (@>)
--   headers      the headers contain it (@>)
--   since, until a moment: when it was sent, and when a letter died; `until` itself is left out
--   fingerprint  a failed attempt at it, of those that are kept, has it: see _add_fingerprint
--   error        a failed attempt at it says this, in its type or message; any case
-- Called by _matching. Takes no locks. Errors: none.
create or replace function postmill._conditions(filter jsonb, letters boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg('and ' || known.condition, ' '), '')
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
        ('payload', 'item.message @> ($1 -> ''payload'')'),
        ('headers', 'item.headers @> ($1 -> ''headers'')'),
        ('since', 'item.since >= ($1 ->> ''since'')::timestamptz'),
        ('until', 'item.since < ($1 ->> ''until'')::timestamptz'),
        ('fingerprint', 'exists (select from postmill.failures as failed
                                 where failed.queue_name = $2 and failed.msg_id = item.msg_id
                                   and failed.fingerprint = $1 ->> ''fingerprint'')'),
        ('error', 'strpos(lower(item.said), lower($1 ->> ''error'')) > 0')
    ) as known (key, condition)
    where filter ? known.key;
$$;
