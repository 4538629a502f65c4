-- The latest $2 failed attempts with fingerprint $1, newest first, and where the message of each is by now: its
-- `message_state`; null where nothing is left of it but `letter_id`, the dead letter that was put back, or not even it.
-- Called by the command line and the API. Takes no locks. Errors: none.
select latest.queue_name as queue, latest.msg_id, latest.attempt, latest.kind, latest.error_type, latest.error_message,
       latest.traceback, latest.started_at, latest.failed_at, latest.worker_id,
       case when exists (select from pgmq.meta where meta.queue_name = latest.queue_name) then
           (select state from postmill.messages(latest.queue_name, max_rows => 1, only_id => latest.msg_id))
       end as message_state,
       (select max(letter.letter_id) from postmill.dead_letters as letter
         where letter.queue_name = latest.queue_name and letter.msg_id = latest.msg_id
           and letter.replayed_at is not null) as letter_id
  from (select * from postmill.failures as failed
         where failed.fingerprint = $1::text
         order by failed.failure_id desc
         limit $2::integer) as latest
 order by latest.failure_id desc
