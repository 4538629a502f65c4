-- Makes the schedule $1 of a SQL command, or changes it: expression $2, command $3, time zone $4, overlap $5, catch_up
-- $6.
-- Called by the client and the command line. Locks and errors as postmill.schedule_sql.
select postmill.schedule_sql($1::text, $2::text, $3::text, $4::text, $5::text, $6::text)
