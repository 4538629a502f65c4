-- What a retry of a run goes by: which failures are done again, and how long it may take then.
alter table postmill.runs add column caught text[];       -- of a failed workflow: steps whose failures it has caught
alter table postmill.runs add column time_limit interval; -- how long it may take from its start, or its last retry, on
update postmill.runs set time_limit = deadline - started_at where deadline is not null;

-- Functions that are given more now.
drop function if exists postmill._end_runs_of_workflows(bigint[], integer[], text[], text[], text[], text[]);
