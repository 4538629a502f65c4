-- When a run was last retried: a failure from before fails it no more.
alter table postmill.runs add column retried_at timestamptz;

-- Which message of its queue a held task was: `why` says of that what has become of it.
alter table postmill.held_tasks add column msg_id bigint;
create index held_tasks_msg_id on postmill.held_tasks (msg_id);

-- Functions that are given more now; and what a worker is told of a run's input is text, of which a null is told from
-- none.
drop function if exists postmill._step_inputs(bigint[], text[]);
drop function if exists postmill._hold_tasks(bigint[], text[], integer[], jsonb[], text[]);
