-- Dead letters: the message, why it died, and what became of it (replayed_at is null while it waits).
create or replace view postmill.dead as
select
    letter_id, queue_name, msg_id, attempts, kind, reason, error_type, traceback, message, headers,
    enqueued_at, died_at, replayed_at, replayed_as, replayed_by
from postmill.dead_letters;
