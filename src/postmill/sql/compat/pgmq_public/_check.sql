-- Refuses a queue that is not there, and numbers that pgmq would take for something else: it reads without a limit for
-- null, and fails inside for others. Looks at the catalogue only.
-- Called by every function of the schema. Takes no locks. Errors: PM001 no such queue, PM003 a number out of its range.
create or replace function pgmq_public._check(queue_name text, sleep_seconds integer default 0, n integer default 1)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regclass(format('pgmq.%I', lower('q_' || coalesce(queue_name, '')))) is null then
        raise exception 'there is no queue %', coalesce(quote_literal(queue_name), 'null')
            using errcode = 'PM001', table = coalesce(queue_name, ''),
                  hint = 'select pgmq.create(...) or postmill queue create makes one.';
    elsif sleep_seconds is null or sleep_seconds < 0 then
        raise exception 'sleep_seconds is %', coalesce(sleep_seconds::text, 'null')
            using errcode = 'PM003', hint = 'A whole number of seconds, 0 or more.';
    elsif n is null or n < 1 then
        raise exception 'n is %', coalesce(n::text, 'null')
            using errcode = 'PM003', hint = 'How many messages to read at most: 1 or more.';
    end if;
end
$$;
revoke execute on function pgmq_public._check from public;
comment on function pgmq_public._check is 'Facade pgmq_public of Postmill: refuses what no queue can do.';
