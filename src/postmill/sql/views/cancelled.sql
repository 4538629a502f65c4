-- Cancelled messages, and messages whose worker was asked to give up and has not done so yet (cancelled_at is null).
create or replace view postmill.cancelled as
select
    queue_name, msg_id, requested_at, requested_by, cancelled_at, message, headers, enqueued_at
from postmill.cancellations;
