-- Writes how an attempt at a job has ended: `success`, `retry` or `failure`, the words of the first version, into its
-- logs; and for a job of supaworker.jobs into supaworker.logs too, in the words of the second.
-- Called by Supaworker in Python, with its owner's rights. Takes no locks. Errors: insufficient_privilege where
-- row-level security keeps the owner from writing.
create or replace function supaworker._log(job jsonb, status text, error jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
begin
    insert into public.supaworker_logs (job, status) values (_log.job - 'table', _log.status);
    if job ->> 'table' = 'jobs' then
        insert into supaworker.logs (job_id, status, error)
        values ((job ->> 'id')::bigint,
                case _log.status when 'success' then 'SUCCESS' when 'failure' then 'ERROR' else 'RETRY' end,
                _log.error);
    end if;
end
$$;
revoke execute on function supaworker._log from public;
comment on function supaworker._log is 'Facade supaworker of Postmill: writes how an attempt has ended.';
