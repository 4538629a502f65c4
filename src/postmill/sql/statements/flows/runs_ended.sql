-- Which of the runs $1 go on no more, and how they have ended.
-- Called by: flows run_watch, while their steps are on a cluster. Takes no locks. Errors: none of its own.
select run_id, state from postmill._ended_runs($1::bigint[])
