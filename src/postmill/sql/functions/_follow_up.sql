-- Sends the message that a message's headers ask for when it ends: postmill-then after it is completed, postmill-else
-- after it died or was cancelled. As JSON: an object with queue and message, and with delay_s, headers, unique_key,
-- priority and group_key as it likes.
-- Runs with the rights of the role that settles the message. The settlement goes on whatever is asked for: a message
-- that can't be sent (there is no such queue, a right is missing, a value is refused) becomes a dead letter of its
-- queue, with the reason and without an id, and can be replayed; what is no message is left out. Both are warnings. An
-- error that passes by itself is raised: the settlement is tried again.
-- Called by _ended, _release and the sweep. Locks and errors as send.
create or replace function postmill._follow_up(queue text, msg_id bigint, headers jsonb, fate text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    part   constant text := case fate when 'completed' then 'postmill-then' else 'postmill-else' end;
    wanted constant jsonb := headers -> part;
begin
    if wanted is null then
        return;
    end if;
    perform postmill.send(
        queue => wanted ->> 'queue',
        message => wanted -> 'message',
        delay => make_interval(secs => (wanted ->> 'delay_s')::double precision),
        headers => nullif(wanted -> 'headers', 'null'),
        unique_key => wanted ->> 'unique_key',
        priority => (wanted ->> 'priority')::integer,
        group_key => wanted ->> 'group_key');
exception
    when others then
        if postmill._passes(sqlstate) then
            raise;
        end if;
        raise warning 'message % of queue % asks in % for what can''t be sent: %',
            msg_id, quote_literal(queue), part, sqlerrm using errcode = sqlstate;
        if postmill._is_follow_up(wanted) then
            insert into postmill.dead_letters
                (queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind, reason)
            values (postmill._queue_name_of(wanted ->> 'queue'), 0, 0, clock_timestamp(), wanted -> 'message',
                    case when jsonb_typeof(wanted -> 'headers') = 'object' then wanted -> 'headers' end, 0, 'error',
                    format('it could not be sent when message %s of queue %s ended: %s', msg_id, queue, sqlerrm));
        end if;
end
$$;
