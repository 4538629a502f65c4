-- The last id that a queue has given out, and the highest in its archive. Called by: db checks, for each queue. Both
-- are read from an index or a sequence. Takes no locks. Errors: undefined_table without an archive,
-- insufficient_privilege.
select (select last_value from {sequence}) as given,
       (select max(msg_id) from {archive}) as archived
