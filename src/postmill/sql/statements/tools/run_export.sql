-- The run $1 as a document, in text. Called by the command line. Locks and errors as postmill.export_run.
select postmill.export_run($1::bigint)::text as document
