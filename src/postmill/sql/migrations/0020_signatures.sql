-- Functions that are given something else, or give something else back, are made anew: what a claim finds out of
-- groups and what it is told of them, how many claimed messages are looked up to know how many run, and what
-- tasks of flows are given.
drop function if exists postmill._next_groups(
    text, postmill.queues, text, timestamptz, timestamptz, bigint, integer, integer, integer);
drop function if exists postmill._pick_gated(
    text, postmill.queues, text[], integer, timestamptz, timestamptz, bigint, bigint[]);
drop function if exists postmill._count_running(text, regclass);
drop function if exists postmill._step_inputs(bigint[], text[]);
