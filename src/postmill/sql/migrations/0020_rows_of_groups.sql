-- What a claim finds out of groups and what it is told of them change: the functions are made anew.
drop function if exists postmill._next_groups(
    text, postmill.queues, text, timestamptz, timestamptz, bigint, integer, integer, integer);
drop function if exists postmill._pick_gated(
    text, postmill.queues, text[], integer, timestamptz, timestamptz, bigint, bigint[]);
