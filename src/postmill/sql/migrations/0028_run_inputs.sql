-- What a worker is told of a run's input is text, of which a null is told from none; and it is not told again what it
-- has looked at.
drop function if exists postmill._step_inputs(bigint[], text[]);
