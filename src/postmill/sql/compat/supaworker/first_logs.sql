-- The logs of Supaworker's first version. Where its own migration has made the table, that one is used. Ours lacks the
-- primary key, which that migration adds when it runs after us. A table of a stranger is refused, as in first_jobs.
do $$
begin
    if to_regclass('public.supaworker_logs') is null then
        create table public.supaworker_logs (
            id         uuid not null default gen_random_uuid(),
            created_at timestamptz not null default now(),
            job        jsonb not null,
            status     varchar not null
        );
        alter table public.supaworker_logs enable row level security;
        revoke all on public.supaworker_logs from public;
        comment on table public.supaworker_logs is 'Facade supaworker of Postmill: logs of its first version.';
    elsif to_regprocedure('supaworker.bridge(text, text, integer)') is null and (
        select relowner from pg_class where oid = 'public.supaworker_logs'::regclass) not in (
--+ facade_owners
    ) then
        raise exception 'the table public.supaworker_logs belongs to a role that is neither a superuser nor this one'
            using errcode = 'PM003', hint = 'Make this role its owner, or give the table another name.';
    end if;
end
$$;
