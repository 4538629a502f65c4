-- The logs of Supaworker's first version. Where its own migration has made the table, that one is used. Ours lacks the
-- primary key, which that migration adds when it runs after us.
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
    end if;
end
$$;
