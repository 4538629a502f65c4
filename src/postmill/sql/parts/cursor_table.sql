-- Which table this is, also after a restart. Part of cursor_history and of the statements that read and write the
-- hint. A truncated or rewritten table has another file; a partitioned one has none.
concat_ws('/',
          (select oid from pg_catalog.pg_database where datname = current_database()),
          to_regclass('{queue}')::oid,
          pg_relation_filenode(to_regclass('{queue}')))
