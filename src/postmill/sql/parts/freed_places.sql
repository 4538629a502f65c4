-- With the flag gated: the places in groups of the messages that are gone are free. The range beside the ids keeps the
-- walk short where a planner has misjudged them. $6 queue.
-- Part of statements that end messages; follows a CTE `gone` with their ids. Lock order: gates.
freed as ( --? gated
    delete from postmill.gates as gate --? gated
     where gate.queue_name = lower($6::text) and gate.msg_id = any (array(select msg_id from gone)) --? gated
       and gate.msg_id between (select min(msg_id) from gone) and (select max(msg_id) from gone) --? gated
), --? gated
