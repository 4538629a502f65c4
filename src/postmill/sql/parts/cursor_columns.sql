-- Which of the columns that not every pgmq has are there: 1 headers, 2 last_read_at; 4 and 8 the same of the archive.
-- Part of cursor_history and of the statement cursor_hint_read.
coalesce((select sum(case when attrelid = to_regclass('{queue}') then 1 else 4 end
                     * case attname when 'headers' then 1 else 2 end)
            from pg_catalog.pg_attribute
           where attrelid in (to_regclass('{queue}'), to_regclass('{archive}'))
             and attname in ('headers', 'last_read_at') and not attisdropped), 0)
