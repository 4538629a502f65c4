-- A function whose result changed, and one with another argument.
drop function if exists postmill._insert_keys(text, text[], bigint[], timestamptz);
drop function if exists postmill._next_groups(
    text, postmill.queues, text, timestamptz, timestamptz, bigint, integer, integer);
