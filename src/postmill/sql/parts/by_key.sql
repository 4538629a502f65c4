-- The settings of a function that looks few rows up by their keys, whatever the statistics of an empty table say, and
-- whose plans are kept: whoever calls it may have set other ones.
-- Part of functions of flows.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = on
set jit = off
