-- The jobs of Supaworker's first version. Where its own migration has made the table, that one is used. Ours lacks the
-- identity and the primary key: that migration, run after us, adds both, and fails on a table that has them. A table of
-- a stranger is refused: its triggers would run with the rights of the facade's owner, in supaworker.bridge.
do $$
begin
    if to_regclass('public.supaworker_jobs') is null then
        create table public.supaworker_jobs (
            id         bigint not null,
            created_at timestamptz not null default now(),
            queue      text not null,
            enabled    boolean not null default true,
            attempts   smallint not null default 0,
            options    jsonb,
            payload    jsonb
        );
        create unique index supaworker_jobs_id on public.supaworker_jobs (id);
        create index supaworker_jobs_next on public.supaworker_jobs (queue, created_at);
        create trigger supaworker_id before insert on public.supaworker_jobs
            for each row when (new.id is null) execute function supaworker._give_id();
        alter table public.supaworker_jobs enable row level security;
        revoke all on public.supaworker_jobs from public;
        comment on table public.supaworker_jobs is 'Facade supaworker of Postmill: jobs of its first version.';
        comment on trigger supaworker_id on public.supaworker_jobs is 'Facade supaworker of Postmill: gives ids.';
    elsif to_regprocedure('supaworker.bridge(text, text, integer)') is null and (
        select relowner from pg_class where oid = 'public.supaworker_jobs'::regclass) not in (
--+ facade_owners
    ) then
        raise exception 'the table public.supaworker_jobs belongs to a role that is neither a superuser nor this one'
            using errcode = 'PM003', hint = 'Make this role its owner, or give the table another name.';
    elsif (select count(*) from pg_attribute
           where attrelid = 'public.supaworker_jobs'::regclass and not attisdropped
             and attname in ('id', 'created_at', 'queue', 'enabled', 'attempts', 'options', 'payload')) < 7 then
        raise exception 'the table public.supaworker_jobs is not the one that Supaworker''s migration makes'
            using errcode = 'PM003', hint = 'Give it another name, or add the columns that it lacks.';
    end if;
end
$$;
