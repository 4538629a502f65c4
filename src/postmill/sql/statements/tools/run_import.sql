-- Makes a run of the document $1. Called by the command line. Locks and errors as postmill.import_run.
select postmill.import_run($1::text::jsonb) as run_id
