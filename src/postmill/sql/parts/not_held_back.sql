-- Of calls `c`: those that wait for no other one, or whose other one has ended. A look for each, by the offset: a join
-- would read them all.
       and (c.waits_for is null
            or not exists (select from postmill.calls as before where before.call_id = c.waits_for offset 0))
