-- Deletes the jobs $1 of Supaqueue, which have become messages in the same transaction.
-- Called by postmill import supaqueue, in the database that is imported into. Locks: the jobs, which it has locked
-- already, and their dependencies. Errors: insufficient_privilege, foreign_key_violation.
delete from {schema}.job as job where job.id = any ($1::uuid[])
