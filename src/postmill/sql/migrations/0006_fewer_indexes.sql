-- Each failed attempt and each dead message is written to these tables, and each index costs such a message about a
-- microsecond. A failure's key starts with its queue: in this order one queue's failures are pruned.
alter table postmill.failures drop constraint failures_pkey;
drop index postmill.failures_queue;
alter table postmill.failures add primary key (queue_name, failure_id);

-- A letter stands in one of two indexes by queue and message: the letters that wait are counted and replayed without a
-- look at those that were replayed.
drop index postmill.dead_letters_queue;
drop index postmill.dead_letters_message;
create index dead_letters_waiting on postmill.dead_letters (queue_name, msg_id) where replayed_at is null;
create index dead_letters_replayed_message on postmill.dead_letters (queue_name, msg_id) where replayed_at is not null;

-- Functions that have another name or other parameters now. With the old ones beside them, a call could be ambiguous.
drop function if exists postmill._receipts(text);
drop function if exists postmill._forget_queue(text);
