-- Does $1 to the runs of the flow $2, in the state $3, with the tag $4, that were started more than $5 seconds ago,
-- saying $6; with $7 only says which. At most $8. Called by the command line. Locks and errors as postmill.steer_runs.
select steered.run_id, steered.its_flow as flow, steered.its_state as state, steered.done
  from postmill.steer_runs($1::text, $2::text, $3::text, $4::text, make_interval(secs => $5::float8), $6::text,
                           $7::boolean, $8::integer) as steered
