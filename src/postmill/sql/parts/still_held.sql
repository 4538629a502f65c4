-- Compare-and-set: whether the queue's row `q` still belongs to the delivery that its token was given for. The rows
-- are found by $1 alone and the tokens compared afterwards, through a hash (`is true` keeps it from becoming a join).
-- A join is planned from statistics: while an old transaction keeps dead rows, and an analyse has found the table all
-- but empty, walking through the whole index looks cheap to the planner.
-- Part of the statements complete, reschedule, dead_letter and cancel_running, always with the part tokens.
     where q.msg_id = any ($1::text::bigint[])
       and ((q.msg_id, q.read_ct, q.vt) in (select msg_id, read_ct, vt from token)) is true
