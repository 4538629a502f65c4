-- What a cursor belongs to: a server since its start, a database, a table's files, and the columns in use. Text, to be
-- compared.
-- Part of the part snapshot_columns and of the statements claim, cursor_hint_read and cursor_hint_write.
concat_ws('/',
          extract(epoch from pg_postmaster_start_time()),
          pg_is_in_recovery(),
--+ cursor_table
          ,
--+ cursor_columns
          )
