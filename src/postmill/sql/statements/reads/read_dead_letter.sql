-- Everything about the dead letter $1.
-- Called by the command line. Takes no locks. Errors: none; no row when there is no such letter.
select
    letter_id, queue_name as queue, msg_id, attempts, kind, reason, error_type, traceback, enqueued_at,
    died_at, replayed_at, replayed_as, replayed_by,
    postmill._shown(message) as message, postmill._shown(headers) as headers
from postmill.dead
where letter_id = $1::bigint
