-- Cancelled messages, and those whose worker was asked to give up (cancelled_at is null) and has not yet.
create or replace view postmill.cancelled as
select
    queue_name, msg_id, requested_at, requested_by, cancelled_at, message, headers, enqueued_at
from postmill.cancellations;
