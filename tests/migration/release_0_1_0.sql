create schema postmill;
revoke all on schema postmill from public;
comment on schema postmill is 'Postmill: background work. Tables are private; use the functions and views.';
create table postmill.migrations (
    number     integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);
create table postmill.components (
    name         text primary key,
    version      text,
    sha256       text not null,
    installed_at timestamptz not null default clock_timestamp()
);
create table postmill.queues (
    queue_name        text primary key,
    owned             boolean not null,          -- we created it: storage parameters and wake-ups are ours to set
    created_at        timestamptz not null default clock_timestamp(),
    paused_at         timestamptz,
    paused_by         text,
    pause_reason      text,
    cursor_hint       bigint not null default 0, -- no claimable message was at or below this id
    cursor_relation   oid,                       -- of which table: a queue dropped and created again restarts its ids
    archive_retention interval,                  -- null: the archive is kept for ever, as that of a queue that is not ours
    history_retention interval default interval '7 days'  -- failures, results, cancellations, replayed letters; null: for ever
);
create table postmill.prunings (
    queue_name       text primary key,
    due_at           timestamptz not null default '-infinity',
    archive_position timestamptz not null default '-infinity', -- how far this sweep has come: dead rows before it are not
    failure_position bigint not null default 0                 -- walked over again while an old transaction keeps them
);
create index prunings_due_at on postmill.prunings (due_at);
create table postmill.workers (
    worker_id         uuid primary key default gen_random_uuid(),
    queue_name        text not null,
    function_name     text not null,
    hostname          text not null,
    pid               integer not null,
    version           text not null,
    max_concurrent    integer not null,
    lock_key          bigint,                    -- session advisory lock that the living worker holds; null behind a pooler
    started_at        timestamptz not null default clock_timestamp(),
    last_heartbeat_at timestamptz not null default clock_timestamp(),
    lock_free_at      timestamptz,               -- when a rescue first found its lock free; null since it was last heard of
    deprecated_at     timestamptz,               -- set by an operator: the worker drains and stops
    stopped_at        timestamptz,
    stop_reason       text,
    in_flight         integer not null default 0
);
create index workers_living on postmill.workers (last_heartbeat_at) where stopped_at is null;
create index workers_stopped on postmill.workers (stopped_at) where stopped_at is not null;
create table postmill.claims (
    claim_id   bigint generated always as identity primary key,
    worker_id  uuid not null,
    queue_name text not null,
    msg_ids    bigint[] not null,
    read_cts   integer[] not null,
    claimed_at timestamptz not null default clock_timestamp()
);
create index claims_worker on postmill.claims (worker_id);
create table postmill.failures (
    failure_id    bigint generated always as identity primary key,
    queue_name    text not null,
    msg_id        bigint not null,
    attempt       integer not null,
    worker_id     uuid,
    kind          text not null check (kind in ('error', 'timeout', 'crash', 'lost_lease', 'invalid_payload')),
    error_type    text,
    error_message text,
    traceback     text,
    started_at    timestamptz,
    failed_at     timestamptz not null default clock_timestamp()
);
create index failures_message on postmill.failures (queue_name, msg_id);
create index failures_queue on postmill.failures (queue_name, failure_id);
create table postmill.dead_letters (
    letter_id     bigint generated always as identity primary key,
    queue_name    text not null,
    msg_id        bigint not null,
    read_ct       integer not null,
    enqueued_at   timestamptz not null,
    message       jsonb,
    headers       jsonb,
    attempts      integer not null,
    kind          text not null,
    reason        text not null,
    error_type    text,
    traceback     text,
    died_at       timestamptz not null default clock_timestamp(),
    replayed_at   timestamptz,
    replayed_as   bigint,
    replayed_by   text
);
create index dead_letters_queue on postmill.dead_letters (queue_name, letter_id) where replayed_at is null;
create index dead_letters_message on postmill.dead_letters (queue_name, msg_id);
create index dead_letters_replayed on postmill.dead_letters (queue_name, replayed_at) where replayed_at is not null;
create table postmill.results (
    queue_name   text not null,
    msg_id       bigint not null,
    result       jsonb,
    completed_at timestamptz not null default clock_timestamp(),
    primary key (queue_name, msg_id)
);
create index results_completed_at on postmill.results (queue_name, completed_at);
create table postmill.cancellations (
    queue_name   text not null,
    msg_id       bigint not null,
    requested_at timestamptz not null default clock_timestamp(),
    requested_by text not null default current_user,
    cancelled_at timestamptz,                     -- null while a running handler has not yet given up
    message      jsonb,
    headers      jsonb,
    enqueued_at  timestamptz,
    primary key (queue_name, msg_id)
);
create index cancellations_pending on postmill.cancellations (queue_name) where cancelled_at is null;
create index cancellations_requested_at on postmill.cancellations (queue_name, requested_at);
create unlogged table postmill.listeners (
    queue_name text not null,
    worker_id  uuid not null,
    primary key (queue_name, worker_id)
);
insert into postmill.migrations (number, name, sha256) values (1, '0001_pre_tables', '0d2dbdc3d202d3c693befa3f6bff4922db616d9d4d920ad4589a6675b1afa812');
update postmill.components set sha256 = '' where name like '%/%';
alter table postmill.queues drop column cursor_relation;
alter table postmill.queues add column cursor_table text;
insert into postmill.migrations (number, name, sha256) values (2, '0002_cursor_table', '85fa7dc549b6719c8b2cdcdbfb73bb2fbfc8086f91c015d235a8ba2ed81266ef');
update postmill.components set sha256 = '' where name like '%/%';
alter table postmill.workers add column lease interval not null default '10 seconds';
drop index postmill.workers_living;
create index workers_living on postmill.workers (started_at) where stopped_at is null;
alter table postmill.workers set (fillfactor = 50);
drop function if exists postmill.rescue(integer);
insert into postmill.migrations (number, name, sha256) values (3, '0003_worker_leases', 'efb747f3506a0a683d8502a101d4bdcb5606c6bd9b6db3923ffd6dc921dca0b5');
update postmill.components set sha256 = '' where name like '%/%';
drop function if exists postmill.queue_stats(text);
insert into postmill.migrations (number, name, sha256) values (4, '0004_queue_stats_estimates', 'b913ca74e7441045d7eee0f3c981806850fb4f2da49cefb8d5f1a25925ad0731');
update postmill.components set sha256 = '' where name like '%/%';
alter table postmill.listeners rename to idle_workers;
alter index postmill.listeners_pkey rename to idle_workers_pkey;
update postmill.workers set deprecated_at = clock_timestamp() where stopped_at is null and deprecated_at is null;
insert into postmill.migrations (number, name, sha256) values (5, '0005_idle_workers', 'a26486a276f2aef495ee2426f80b4a80e9cc0c9900b74a78c332b2dd2905ad18');
update postmill.components set sha256 = '' where name like '%/%';
alter table postmill.failures drop constraint failures_pkey;
drop index postmill.failures_queue;
alter table postmill.failures add primary key (queue_name, failure_id);
drop index postmill.dead_letters_queue;
drop index postmill.dead_letters_message;
create index dead_letters_waiting on postmill.dead_letters (queue_name, msg_id) where replayed_at is null;
create index dead_letters_replayed_message on postmill.dead_letters (queue_name, msg_id) where replayed_at is not null;
drop function if exists postmill._receipts(text);
drop function if exists postmill._forget_queue(text);
insert into postmill.migrations (number, name, sha256) values (6, '0006_fewer_indexes', '21af7447a856758209ad7843a711f352083258d14b9d63fabc29300689c73ce5');
update postmill.components set sha256 = '' where name like '%/%';
set local check_function_bodies = off;
create or replace function postmill._check_queue_name(name text) returns void
language plpgsql immutable
set search_path = ''
as $$
begin
    if name is null or name !~ '^[a-z0-9_][a-z0-9_-]{0,46}$' then
        raise exception '% is not a queue name that Postmill creates', coalesce(quote_literal(name), 'null')
            using errcode = 'PM002',
                  detail = 'A name has 1 to 47 characters out of a-z, 0-9, _ and -, and does not start with -.',
                  hint = 'Choose another name, e.g. ''emails'' or ''resize-images''.';
    elsif position('--' in name) > 0 then
        raise exception '% is not a queue name that pgmq accepts', quote_literal(name)
            using errcode = 'PM002', detail = 'pgmq refuses names with two hyphens in a row.',
                  hint = 'Use one hyphen or an underscore.';
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_check_queue_name', '', '196f3e7f321704f44dab665d511b3f8c5eb68ced75acf5eafe1340d35240efce')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._check_state(state text) returns void
language plpgsql immutable
set search_path = ''
as $$
declare
    states text[] := array['scheduled', 'ready', 'running', 'retrying', 'completed', 'dead', 'cancelled'];
begin
    if state <> all (states) then
        raise exception '% is not a state of a message', quote_literal(state)
            using errcode = 'PM003', hint = 'The states are ' || array_to_string(states, ', ') || '.';
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_check_state', '', 'c9ba1bb8ddfcf9e0c765da4b905fb04a754c96ee39ff8a9d2a669348886de8da')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._claimed(queue text)
returns table (msg_id bigint, read_ct integer, worker_id uuid)
language sql stable
set search_path = ''
as $$
    select held.msg_id, held.read_ct, claim.worker_id
    from postmill.claims as claim
    cross join lateral unnest(claim.msg_ids, claim.read_cts) as held (msg_id, read_ct)
    where claim.queue_name = queue;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_claimed', '', '41570a8d91e60f3d4bb9e9d8e0842074189f4d2e6f89d0d65b2c41dcc1158f7b')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._count_running(
    queue text, relation regclass, out running bigint, out estimated boolean
)
language plpgsql stable
set search_path = ''
as $$
declare
    most constant integer := 10000;
    ids           bigint[];
    read_cts      integer[];
    claimed       bigint;
begin
    select array_agg(held.msg_id), array_agg(held.read_ct)
    into ids, read_cts
    from (select held.msg_id, held.read_ct from postmill._claimed(queue) as held limit most) as held;
    execute format(
        'select count(*) from unnest($1, $2) as held (msg_id, read_ct)
         cross join lateral (
             select from %s as queued
             where queued.msg_id = held.msg_id and queued.read_ct = held.read_ct and queued.vt > statement_timestamp()
             limit 1
         ) as there',
        relation)
    into running using ids, read_cts;
    estimated := coalesce(cardinality(ids), 0) >= most;
    if estimated then
        select sum(cardinality(claim.msg_ids)) into claimed
        from postmill.claims as claim where claim.queue_name = queue;
        running := running * claimed / most;
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_count_running', '', '686056f56456b07cef06991822805654bcafe732d4b1a47911e07da564262488')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._depth(
    queue text, exactly boolean,
    out ready bigint, out running bigint, out later_tried bigint, out later_new bigint,
    out oldest timestamptz, out exact boolean
)
language plpgsql stable
set search_path = ''
as $$
declare
    whole_pages  constant bigint := 60;
    sample_pages constant float8 := 30;
    few          constant integer := 1000;
    much_dead    constant bigint := 100000;
    relation     regclass := postmill._queue_table(queue);
    pages        bigint := postmill._pages(relation);
    scale        float8;
    guessed      boolean;
    counted      record;
begin
    select found.running, found.estimated into running, guessed from postmill._count_running(queue, relation) as found;
    exact := (exactly or pages <= whole_pages) and not guessed;
    scale := case when exactly or pages <= whole_pages then 1 else pages / sample_pages end;
    execute format(
        'select count(*) filter (where vt <= statement_timestamp()) as ready,
             count(*) filter (where vt > statement_timestamp() and read_ct > 0) as tried,
             count(*) filter (where vt > statement_timestamp() and read_ct = 0) as new,
             min(vt) filter (where vt <= statement_timestamp()) as oldest
         from %s %s',
        relation, case when scale = 1 then '' else format('tablesample system (%s) repeatable (0)', 100 / scale) end)
    into counted;
    ready := counted.ready * scale;
    later_tried := counted.tried * scale;
    later_new := counted.new * scale;
    oldest := counted.oldest;
    if scale > 1 and coalesce(pg_catalog.pg_stat_get_dead_tuples(relation), 0) < much_dead then
        execute format('select vt from %s where vt <= statement_timestamp() order by vt limit 1', relation) into oldest;
        if ready <= few then
            execute format(
                'select count(*)
                 from (select from %s where vt <= statement_timestamp() order by vt limit $1) as due',
                relation)
            into ready using few;
        end if;
        if later_tried + later_new - running <= few then
            execute format(
                'select count(*) filter (where read_ct > 0), count(*) filter (where read_ct = 0)
                 from (select read_ct from %s where vt > statement_timestamp() order by vt limit $1) as later',
                relation)
            into later_tried, later_new using few + running;
        end if;
    end if;
    later_tried := greatest(0, later_tried - running);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_depth', '', '25351b1a5f7ae59d3c917e2ebfa6f578bff994d12785b3631fe660a0abd48ecc')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._due_at(delay interval, run_at timestamptz) returns timestamptz
language plpgsql volatile
set search_path = ''
as $$
begin
    if delay is not null and run_at is not null then
        raise exception 'delay and run_at exclude each other'
            using errcode = 'PM003', hint = 'Give one of them.';
    elsif delay < interval '0' then
        raise exception 'delay is negative: %', delay
            using errcode = 'PM003', hint = 'Leave delay out to send now.';
    elsif not isfinite(delay) or delay > interval '100000 years' then
        raise exception 'delay is no length of time that ends: %', delay
            using errcode = 'PM003', hint = 'To hold a message back, pause its queue.';
    elsif not isfinite(run_at) then
        raise exception 'run_at is not a moment: %', run_at
            using errcode = 'PM003', hint = 'Leave run_at out to send now.';
    end if;
    return coalesce(run_at, clock_timestamp() + coalesce(delay, interval '0'));
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_due_at', '', '5a87dad0c742c64bb02e92d4d942cb5f1b9e767fa8b5043134dd43ee82fd6cf7')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._few_ids(queue text, wanted_state text) returns bigint[]
language plpgsql stable
set search_path = ''
as $$
declare
    most constant integer := 10000;
    ids  bigint[];
begin
    if wanted_state = 'running' then
        ids := array(select held.msg_id from postmill._claimed(queue) as held limit most + 1);
    elsif wanted_state in ('ready', 'retrying', 'scheduled') then
        execute format(
            'select array(select msg_id from %s where vt %s statement_timestamp() order by vt limit $1)',
            postmill._queue_table(queue), case wanted_state when 'ready' then '<=' else '>' end)
        into ids using most + 1;
    end if;
    return case when cardinality(ids) <= most then ids end;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_few_ids', '', '5346b2a6b84b34a2fbc276dbd1ec74770c7086df552c1b8c79c41b6ea11ed36a')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._forget_queue(queue text, dead_too boolean) returns void
language sql
set search_path = ''
as $$
    delete from postmill.claims where queue_name = queue;
    delete from postmill.results where queue_name = queue;
    delete from postmill.cancellations where queue_name = queue;
    delete from postmill.idle_workers where queue_name = queue;
    delete from postmill.prunings where queue_name = queue;
    delete from postmill.queues where queue_name = queue;
    delete from postmill.failures where queue_name = queue and dead_too;
    delete from postmill.dead_letters where queue_name = queue and dead_too;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_forget_queue', '', 'a9d8555f4bf295ab7b1ce0862527e610bcde1749b69f73e097c4b2b1e787e82e')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._gone_workers(up timestamptz)
returns table (worker_id uuid, last_heartbeat_at timestamptz, reason text)
language sql
set search_path = ''
as $$
    select living.worker_id, living.last_heartbeat_at, case when living.locked then 'silence' else 'crash' end
      from (select w.worker_id, w.last_heartbeat_at, w.lock_free_at, w.lock_key,
                   postmill._silent_after(w.lease) as bound,
                   w.lock_key is not null and w.lock_key in (select postmill._held_locks()) as locked
              from postmill.workers as w
             where w.stopped_at is null) as living
     where (living.lock_key is not null and not living.locked
            and living.lock_free_at < clock_timestamp() - interval '1 second'
            and (living.last_heartbeat_at >= up or clock_timestamp() > up + living.bound))
        or (clock_timestamp() > greatest(living.last_heartbeat_at, up) + living.bound
            and clock_timestamp() > living.bound
                + coalesce((select max(c.claimed_at) from postmill.claims as c where c.worker_id = living.worker_id),
                           '-infinity'))
     limit 1000
$$;
insert into postmill.components (name, version, sha256) values ('functions/_gone_workers', '', '9627be14bf4bd2823eda897f67f6b0477c4cd89e39a369ecff6aa12ba2298948')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._has_headers() returns boolean
language sql stable
set search_path = ''
as $$
    select to_regprocedure('pgmq.send(text, jsonb, jsonb, timestamptz)') is not null;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_has_headers', '', '7a5e7fb7987059f10eb1751d0c86a6d78978304a3195e14b6a4d7a8b1531991a')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._held_locks() returns setof bigint
language sql stable
set search_path = ''
as $$
    select (l.classid::bigint << 32) | l.objid::bigint
      from pg_catalog.pg_locks as l
     where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
       and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
$$;
insert into postmill.components (name, version, sha256) values ('functions/_held_locks', '', '36073c36db8e438d97c8342f636b3192b2c077b0bfc6fc8adf1db43528f6ebed')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._in_archive(
    queue text, max_rows integer, only_id bigint, before_id bigint
) returns table (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, message jsonb, headers jsonb, finished_at timestamptz
)
language plpgsql stable
set search_path = ''
as $$
declare
    archive regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
begin
    if archive is null then
        return;
    end if;
    return query execute format(
        'select done.msg_id, done.read_ct, done.enqueued_at, done.message,
             nullif(to_jsonb(done) -> ''headers'', ''null''), done.archived_at
         from %s as done
         where ($2 is null or done.msg_id = $2) and ($3 is null or done.msg_id < $3)
         order by done.msg_id desc limit $1',
        archive)
    using max_rows, only_id, before_id;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_in_archive', '', 'a5ef9099e75df62b610e0d919c72b42b7f19df26b2be5bcc2656e1c88edfa1e1')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._in_queue(
    queue text, only_state text, max_rows integer, only_id bigint, before_id bigint
) returns table (
    msg_id bigint, state text, read_ct integer, enqueued_at timestamptz, vt timestamptz, worker_id uuid,
    message jsonb, headers jsonb
)
language plpgsql stable
set search_path = ''
as $$
declare
    ids bigint[] := postmill._few_ids(queue, only_state);
begin
    return query execute format(
        'select * from (
             select queued.msg_id, postmill._state(queued.read_ct, queued.vt, holder.worker_id) as state,
                 queued.read_ct, queued.enqueued_at, queued.vt,
                 case when queued.vt > statement_timestamp() then holder.worker_id end,
                 queued.message, nullif(to_jsonb(queued) -> ''headers'', ''null'')
             from %s as queued
             left join postmill._claimed($1) as holder using (msg_id, read_ct)
             where ($4 is null or queued.msg_id = $4) and ($5 is null or queued.msg_id < $5) %s
         ) as queued
         where $2 is null or state = $2
         order by msg_id desc limit $3',
        postmill._queue_table(queue), case when ids is not null then 'and queued.msg_id = any ($6)' else '' end)
    using queue, only_state, max_rows, only_id, before_id, ids;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_in_queue', '', 'bb6c6f8094e2b3a6593bdf399ad7f7448e1888523d07f170a85fe05ad331afc3')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._pages(relation regclass) returns bigint
language sql stable
set search_path = ''
as $$
    select coalesce(
            (select sum(pg_catalog.pg_relation_size(part.relid))
             from pg_catalog.pg_partition_tree(relation) as part where part.isleaf),
            pg_catalog.pg_relation_size(relation))::bigint / current_setting('block_size')::bigint;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_pages', '', '7a8d7199de7ae9f7c0d5914af2dff7625ed3b6c62f9a83ced58f93ae3c978071')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._prune_archive(
    queue text, horizon timestamptz, page integer, inout start timestamptz, out pruned bigint, out more boolean
)
language plpgsql
set search_path = ''
as $$
declare
    archive regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    reached timestamptz;
begin
    pruned := 0;
    more := false;
    if archive is null then
        return;
    end if;
    execute format(
        'with gone as (
             delete from %1$s
             where msg_id = any (array(
                 select msg_id from %1$s
                 where archived_at >= $1 and archived_at < $2
                 order by archived_at limit $3 for update skip locked))
               and archived_at >= $1 and archived_at < $2
             returning archived_at
         )
         select count(*), max(archived_at) from gone',
        archive)
    into pruned, reached using start, horizon, page;
    more := pruned = page;
    start := coalesce(reached, start);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_prune_archive', '', '3b7267908c5cd640604d9db3158c6fd2318707a6ed52bb61dbd3a28e167e25d3')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._prune_failures(
    queue text, horizon timestamptz, page integer, inout start bigint, out pruned bigint, out more boolean
)
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := to_regclass(format('pgmq.%I', lower('q_' || queue)));
    looked   bigint[];
    waiting  bigint[] := '{}';
begin
    looked := array(
        select failure_id from (
            select failure_id, failed_at from postmill.failures
            where queue_name = queue and failure_id > start
            order by failure_id limit page
        ) as next where failed_at < horizon
    );
    if relation is not null then
        execute format(
            'select array(select msg_id from %s where msg_id in (
                 select msg_id from postmill.failures where queue_name = $2 and failure_id = any ($1)))', relation)
        into waiting using looked, queue;
    end if;
    delete from postmill.failures
    where queue_name = queue and failure_id = any (looked) and msg_id <> all (waiting);
    get diagnostics pruned = row_count;
    more := cardinality(looked) = page;
    start := coalesce((select max(id) from unnest(looked) as id), start);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_prune_failures', '', 'e38758ab0bfbc7b3dca3f2966cdcbf3dff86603112ba65dc537fe8075c58cbe7')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._prune_history(
    queue text, horizon timestamptz, page integer, out pruned bigint, out more boolean
)
language plpgsql
set search_path = ''
as $$
declare
    gone bigint;
begin
    delete from postmill.results
    where queue_name = queue and msg_id = any (array(
        select msg_id from postmill.results
        where queue_name = queue and completed_at < horizon order by completed_at limit page))
      and completed_at < horizon;
    get diagnostics gone = row_count;
    pruned := gone;
    more := gone = page;
    delete from postmill.cancellations
    where queue_name = queue and msg_id = any (array(
        select msg_id from postmill.cancellations
        where queue_name = queue and requested_at < horizon order by requested_at limit page))
      and requested_at < horizon;
    get diagnostics gone = row_count;
    pruned := pruned + gone;
    more := more or gone = page;
    delete from postmill.dead_letters
    where letter_id = any (array(
        select letter_id from postmill.dead_letters
        where queue_name = queue and replayed_at < horizon order by replayed_at limit page));
    get diagnostics gone = row_count;
    pruned := pruned + gone;
    more := more or gone = page;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_prune_history', '', '48318904e74975aafb400c3b5251df82c14fad83bcbe8088ca96c71dbb791f45')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._prune_workers(page integer) returns bigint
language sql
set search_path = ''
as $$
    with gone as (
        delete from postmill.workers where worker_id = any (array(
            (select worker_id from postmill.workers
             where stopped_at < postmill.now() - interval '7 days' order by stopped_at limit page)
            union all
            (select worker_id from postmill.workers
             where stopped_at is null and last_heartbeat_at < postmill.now() - interval '7 days'
               and last_heartbeat_at < clock_timestamp() - interval '1 minute'  -- a shifted clock kills nobody
             order by last_heartbeat_at limit page)))
        returning worker_id
    ),
    unlisted as (
        delete from postmill.idle_workers as idle
        where not exists (
            select from postmill.workers as worker
            where worker.worker_id = idle.worker_id
              and worker.last_heartbeat_at > clock_timestamp() - interval '1 minute')
    )
    select count(*) from gone;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_prune_workers', '', '08d9148f523b47000e28e6b402e1f570c488019f4a65f85bbc80318d3d159d41')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._queue_table(queue text) returns regclass
language plpgsql stable
set search_path = ''
as $$
declare
    relation regclass := to_regclass(format('pgmq.%I', lower('q_' || coalesce(queue, ''))));
begin
    if relation is null then
        raise exception 'there is no queue %', coalesce(quote_literal(queue), 'null')
            using errcode = 'PM001',
                  detail = 'No table of that queue is in schema pgmq of this database.',
                  hint = 'Create it with: select postmill.create_queue('
                         || coalesce(quote_literal(queue), '''tasks''') || ')';
    end if;
    return relation;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_queue_table', '', '18d38b7d2c209be54f67cc355c9c4c69a81cedf5ba8c65f19228a93e6d1f1514')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._refuse_headers() returns void
language plpgsql
set search_path = ''
as $$
begin
    raise exception 'the pgmq of this database has no headers'
        using errcode = 'PM004',
              detail = 'Messages have headers since pgmq 1.5.',
              hint = 'Upgrade pgmq, or put what you need into the message itself.';
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_refuse_headers', '', '5496fa275225009206f6aab910336fb18ff63d829ad692fc7c020fd0eab795fb')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._running(queue text, among bigint[]) returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
    ids bigint[];
begin
    execute format(
        'select array(
             select queued.msg_id
             from %s as queued
             join postmill._claimed($1) as held using (msg_id, read_ct)
             where queued.msg_id = any ($2) and queued.vt > clock_timestamp())',
        postmill._queue_table(queue))
    into ids using queue, among;
    return ids;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_running', '', 'b8722cbded4e5692748d0f148919a132baa65ee620f6dbf2f4229bd6d484cc88')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._seconds_until(moment timestamptz) returns integer
language sql volatile
set search_path = ''
as $$
    select least(2147483647, greatest(0, ceil(extract(epoch from moment - clock_timestamp()))))::integer;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_seconds_until', '', '546caedd12d7327d66aeb901491170ac2d46c1359f350a4cccbda972816fa3d1')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._server_since() returns timestamptz
language sql stable
set search_path = ''
as $$
    select greatest(
        pg_catalog.pg_postmaster_start_time(),
        (select max(a.backend_start) from pg_catalog.pg_stat_activity as a where a.backend_type = 'walwriter'))
$$;
insert into postmill.components (name, version, sha256) values ('functions/_server_since', '', '7e7f9b265eccce205da3cf20032c7b2942ef044460a006b8018feabf1c00ee25')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._shown(value jsonb) returns jsonb
language plpgsql immutable
set search_path = ''
as $$
begin
    perform octet_length(value::text);  -- numbers are written out: a few bytes may be more than 1 GB of text
    return value;
exception when program_limit_exceeded or out_of_memory then
    return to_jsonb('(too large to be shown: ' || sqlerrm || ')');
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_shown', '', '85910763426e7e88345c3459fe128248387b14b3cbdcbfaeaea4c28df1b726f5')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._silent_after(lease interval) returns interval
language sql immutable
set search_path = ''
as $$
    select greatest(interval '10 seconds', lease)
$$;
insert into postmill.components (name, version, sha256) values ('functions/_silent_after', '', 'c2804f105708810ad66466021b7979ed192985c102370d0efc091bd80a9fd3ec')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._state(read_ct integer, vt timestamptz, holder uuid) returns text
language sql stable
as $$
    select case
        when vt <= statement_timestamp() then 'ready'
        when holder is not null then 'running'
        when read_ct > 0 then 'retrying'
        else 'scheduled'
    end;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_state', '', '06f8472247bfe984e0650d2baa660f1dd9d2c73a5edde4e1fd21f855013ccc1f')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._suspect_workers()
returns table (queue_name text, worker_id uuid)
language sql
set search_path = ''
as $$
    update postmill.workers as suspect
       set lock_free_at = coalesce(suspect.lock_free_at, clock_timestamp())
     where suspect.worker_id in (
        select w.worker_id
          from postmill.workers as w
         where w.stopped_at is null and w.lock_key is not null and w.lock_key not in (select postmill._held_locks())
         limit 1000
           for update skip locked)
    returning suspect.queue_name, suspect.worker_id;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_suspect_workers', '', '1119eb262beb8732dd64837c7e83c3d6e50beccf498d41709c4e7e83ec828b05')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._tried(queue text, msg_id bigint, since timestamptz)
returns table (times integer, last_error text)
language sql stable
set search_path = ''
as $$
    select count(*)::integer,
        (array_agg(concat_ws(': ', failure.error_type, failure.error_message) order by failure.failure_id desc))[1]
    from postmill.failures as failure
    where failure.queue_name = _tried.queue and failure.msg_id = _tried.msg_id
      and failure.kind <> 'lost_lease'
      and failure.failed_at >= case when since <= clock_timestamp() then since else '-infinity' end;
$$;
insert into postmill.components (name, version, sha256) values ('functions/_tried', '', '0e2f0564112a02f2569a82a05c2ac63a6701a6fe8defb922768a0721b38e3456')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill._wake_one(queue text, asking uuid default null) returns void
language plpgsql
set search_path = ''
as $$
begin
    if not exists (select from postmill.idle_workers where queue_name = queue) then
        return;
    end if;
    perform pg_notify('postmill.worker.' || chosen.worker_id, case chosen.turn when 1 then 'claim' else 'standby' end)
       from (select l.worker_id,
                    row_number() over (
                       order by uuid_hash_extended(l.worker_id, (extract(epoch from now()) * 2)::bigint)) as turn
               from postmill.idle_workers as l
               join postmill.active_workers as w using (worker_id)
              where l.queue_name = queue and l.worker_id is distinct from asking) as chosen
      where chosen.turn <= 2;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/_wake_one', '', '5ba7f97715d383b56d79e24f59163906056273a84ed054abb200d376c590cda3')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.cancel(queue text, msg_id bigint) returns text
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
    is_there boolean;
begin
    execute format('select true from %s where msg_id = $1 for update', relation) into is_there using cancel.msg_id;
    if is_there is null then
        return case when exists (
            select from postmill.cancellations as cancellation
            where cancellation.queue_name = queue and cancellation.msg_id = cancel.msg_id
              and cancellation.cancelled_at is not null
        ) then 'cancelled' else 'not found' end;
    end if;
    if postmill._running(queue, array[cancel.msg_id]) <> '{}' then
        insert into postmill.cancellations (queue_name, msg_id) values (queue, cancel.msg_id)
        on conflict on constraint cancellations_pkey do nothing;
        perform pg_notify(('postmill.' || queue)::name::text, 'cancel');
        return 'requested';
    end if;
    execute format(
        'with gone as (
             delete from %s as queued where msg_id = $2
             returning $1 as queue_name, msg_id, message, nullif(to_jsonb(queued) -> ''headers'', ''null'') as headers,
                 enqueued_at)
    insert into postmill.cancellations (queue_name, msg_id, cancelled_at, message, headers, enqueued_at)
    select queue_name, msg_id, clock_timestamp(), message, headers, enqueued_at from gone
    on conflict (queue_name, msg_id) do update
       set cancelled_at = excluded.cancelled_at, message = excluded.message, headers = excluded.headers,
           enqueued_at = excluded.enqueued_at
        ',
        relation) using queue, cancel.msg_id;
    return 'cancelled';
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/cancel', '', '4b78878ce7223bf9916222ed3a9b1dc36cfb320a44fa80189a5296a89fbf64a8')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.create_queue(name text) returns void
language plpgsql
set search_path = ''
as $$
declare
    taken_by text;
begin
    if exists (select from pgmq.meta where queue_name = create_queue.name) then
        insert into postmill.queues (queue_name, owned) values (create_queue.name, false)
        on conflict (queue_name) do nothing;
        return;
    end if;
    perform postmill._check_queue_name(create_queue.name);
    perform pg_advisory_xact_lock(hashtext('pgmq.queue_' || create_queue.name));
    if exists (select from pgmq.meta where queue_name = create_queue.name) then
        perform postmill.create_queue(create_queue.name);
        return;
    end if;
    select class.relname into taken_by
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where namespace.nspname = 'pgmq'
      and class.relname in ('q_' || create_queue.name, 'a_' || create_queue.name,
                            'q_' || create_queue.name || '_msg_id_seq');
    if taken_by is not null then
        raise exception 'queue % can''t be created', quote_literal(create_queue.name)
            using errcode = 'PM005',
                  detail = format('pgmq.%I is here already and belongs to another queue.', taken_by),
                  hint = 'Choose another name.';
    end if;
    perform pgmq.create(queue_name => create_queue.name);
    perform postmill._forget_queue(create_queue.name, dead_too => false);
    insert into postmill.queues (queue_name, owned, archive_retention)
    values (create_queue.name, true, interval '7 days');
    execute format(
        'alter table pgmq.%I set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, '
        'autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_scale_factor = 0, '
        'toast.autovacuum_vacuum_threshold = 1000, toast.autovacuum_vacuum_cost_delay = 0)',
        'q_' || create_queue.name);
    perform postmill.enable_wakeups(create_queue.name);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/create_queue', '', 'a4aff2e77ddbfd60952a74d183e6693ffcb2c7427741eb30c2f3b0e101d31745')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.deprecate_worker(worker_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
    update postmill.workers as worker set deprecated_at = coalesce(worker.deprecated_at, clock_timestamp())
    where worker.worker_id = deprecate_worker.worker_id and worker.stopped_at is null;
    if not found then
        raise exception 'no worker % is running', deprecate_worker.worker_id
            using errcode = 'PM006', hint = 'See the view postmill.active_workers.';
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/deprecate_worker', '', '36f413ef3ac92eb4e6083ee70fb18e0db6195aee4331b67706707aabb6f07408')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.disable_wakeups(queue text) returns void
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
begin
    if exists (select from pg_trigger where tgrelid = relation and tgname = 'postmill_wake') then
        execute format('drop trigger if exists postmill_wake on %s', relation);
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/disable_wakeups', '', '25531d4cf30ba435036f35ae0c284f7667de41dd97c7d377489b9cf6901c7fe5')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.discard(
    queue      text,
    letter_ids bigint[] default null,
    older_than interval default null
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    discarded bigint;
begin
    perform postmill._queue_table(queue);
    if older_than < interval '0' or not isfinite(older_than) then
        raise exception 'older_than is no length of time: %', older_than
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days''.';
    end if;
    delete from postmill.dead_letters as letter
    where letter.letter_id = any (array(
        select candidate.letter_id from postmill.dead_letters as candidate
        where candidate.queue_name = queue and candidate.replayed_at is null
          and (letter_ids is null or candidate.letter_id = any (letter_ids))
          and (older_than is null or candidate.died_at < clock_timestamp() - older_than)
        order by candidate.letter_id for update skip locked));
    get diagnostics discarded = row_count;
    return discarded;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/discard', '', '46443049f76de199e6ea343899247fee0173bd09b110a3094e4eb21d0c18762e')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.drop_queue(name text, force boolean default false) returns void
language plpgsql
set search_path = ''
as $$
declare
    letters bigint;
begin
    perform postmill._queue_table(drop_queue.name);
    select count(*) into letters
    from postmill.dead_letters where queue_name = drop_queue.name and replayed_at is null;
    if letters > 0 and not force then
        raise exception 'queue % has % dead letters that nobody has replayed', quote_literal(drop_queue.name), letters
            using errcode = 'PM005',
                  hint = 'Replay them, or insist: postmill.drop_queue('
                         || quote_literal(drop_queue.name) || ', force => true)';
    end if;
    perform pgmq.drop_queue(queue_name => drop_queue.name);
    perform postmill._forget_queue(drop_queue.name, dead_too => true);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/drop_queue', '', 'a19c4c19cc8922c78a31b7e25e0c709b062a6908e40f6daeebe04dd764e448f5')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.enable_wakeups(queue text) returns void
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
begin
    if exists (select from pg_trigger where tgrelid = relation and tgname = 'postmill_wake') then
        return;
    end if;
    if not exists (select from postmill.queues where queue_name = queue and owned)
        and not exists (select from pg_class where oid = relation and pg_has_role(relowner, 'USAGE'))
    then
        raise exception 'queue % is not ours', quote_literal(queue)
            using errcode = 'PM005',
                  detail = 'Another client created it; a trigger is put on it only by the owner of its table.',
                  hint = 'Ask the owner to call postmill.enable_wakeups, or leave it: workers poll.';
    end if;
    execute format(
        'create trigger postmill_wake after insert on %s for each statement execute function postmill.wake(%L)',
        relation, queue);
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/enable_wakeups', '', '78f52378f3238cb0fffb61b6e3e7625bb62da580137b6aaef281a343ac251e58')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.lock_is_held(lock_key bigint)
returns boolean
language sql
stable
set search_path = ''
as $$
    select lock_key in (select postmill._held_locks());
$$;
insert into postmill.components (name, version, sha256) values ('functions/lock_is_held', '', 'f4a2136494bf2e247486e9d34ebb957204ad2d009adaf151df28e2801624dd1b')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.messages(
    queue      text,
    only_state text default null,
    max_rows   integer default 100,
    only_id    bigint default null,
    before_id  bigint default null
) returns table (
    msg_id      bigint,
    state       text,
    attempts    integer,
    read_ct     integer,
    enqueued_at timestamptz,
    vt          timestamptz,
    worker_id   uuid,
    last_error  text,
    result      jsonb,
    message     jsonb,
    headers     jsonb,
    finished_at timestamptz
)
language plpgsql stable
set search_path = ''
as $$
#variable_conflict use_column
begin
    perform postmill._queue_table(queue);
    perform postmill._check_state(only_state);
    return query
    with archived as (
        select * from postmill._in_archive(queue, max_rows, only_id, before_id)
        where only_state is null or only_state = 'completed'
    ), kept as (
        select * from postmill.results as result
        where result.queue_name = queue and (only_state is null or only_state = 'completed')
          and (only_id is null or result.msg_id = only_id) and (before_id is null or result.msg_id < before_id)
        order by result.msg_id desc limit max_rows
    ), died as (
        select * from postmill.dead_letters as letter
        where letter.queue_name = queue and letter.replayed_at is null and (only_state is null or only_state = 'dead')
          and (only_id is null or letter.msg_id = only_id) and (before_id is null or letter.msg_id < before_id)
        order by letter.msg_id desc limit max_rows
    ), cancelled as (
        select * from postmill.cancellations as cancellation
        where cancellation.queue_name = queue and cancellation.cancelled_at is not null
          and (only_state is null or only_state = 'cancelled')
          and (only_id is null or cancellation.msg_id = only_id)
          and (before_id is null or cancellation.msg_id < before_id)
        order by cancellation.msg_id desc limit max_rows
    ), found (msg_id, state, read_ct, enqueued_at, vt, worker_id, message, headers, finished_at, attempts, reason) as (
        select *, null::timestamptz, null::integer, null::text
        from postmill._in_queue(queue, only_state, max_rows, only_id, before_id)
        union all
        select msg_id, 'completed', read_ct, enqueued_at, null, null, message, headers, finished_at, null, null
        from archived
        union all
        select msg_id, 'completed', null, null, null, null, null, null, completed_at, null, null
        from kept where msg_id not in (select msg_id from archived)
        union all
        select msg_id, 'dead', read_ct, enqueued_at, null, null, message, headers, died_at, attempts, reason
        from died
        union all
        select msg_id, 'cancelled', null, enqueued_at, null, null, message, headers, cancelled_at, null, null
        from cancelled
        order by 1 desc limit max_rows
    )
    select found.msg_id, found.state,
        coalesce(found.attempts, tried.times + (found.state in ('running', 'completed'))::integer),
        found.read_ct, found.enqueued_at, found.vt, found.worker_id,
        coalesce(found.reason, tried.last_error), result.result,
        postmill._shown(found.message), postmill._shown(found.headers), found.finished_at
    from found
    left join postmill.results as result
        on result.queue_name = queue and result.msg_id = found.msg_id and found.state = 'completed'
    cross join lateral postmill._tried(queue, found.msg_id, found.enqueued_at) as tried
    order by found.msg_id desc;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/messages', '', '862a02d7cdea9a91aad47488f5ea7d6805372fa72d362770b4d78db130971aba')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.now() returns timestamptz
language sql stable
set search_path = ''
as $$
    select clock_timestamp()
        + coalesce(nullif(current_setting('postmill.clock_shift', true), '')::interval, interval '0');
$$;
insert into postmill.components (name, version, sha256) values ('functions/now', '', '4f63ef0354f304bd39c4482410d91b6bf689cbc513e20351e0754aa6fcf19b46')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.pause(queue text, reason text default null) returns void
language plpgsql
set search_path = ''
as $$
begin
    perform postmill._queue_table(queue);
    insert into postmill.queues as row (queue_name, owned, paused_at, paused_by, pause_reason)
    values (queue, false, clock_timestamp(), session_user, reason)
    on conflict (queue_name) do update
    set paused_at = coalesce(row.paused_at, excluded.paused_at),
        paused_by = excluded.paused_by,
        pause_reason = excluded.pause_reason;
    perform pg_notify(('postmill.' || queue)::name::text, 'pause');
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/pause', '', '22cf044da52f80a33ba966949fd443b590807456e7bf4df0a59502c5dbaf319d')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.prune(max_rows integer default 5000)
returns table (queue_name text, archived bigint, failures bigint, history bigint, workers bigint, more boolean)
language plpgsql
set search_path = ''
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
    page        constant integer := least(max_rows, 500);
    ends_at     constant timestamptz := clock_timestamp() + interval '0.2 seconds';
    duty        postmill.prunings;
    archive_horizon timestamptz;  -- null: nothing of it is old enough, ever
    history_horizon timestamptz;
    step        record;
    more_kinds  boolean[] := array[true, true, true];  -- archive, failures, the rest
begin
    begin
        insert into postmill.prunings (queue_name)
        select known.queue_name
        from (select q.queue_name from postmill.queues as q
              union
              select w.queue_name from postmill.workers as w) as known
        where not exists (select from postmill.prunings as p where p.queue_name = known.queue_name)
        on conflict (queue_name) do nothing;
    exception when lock_not_available or invalid_column_reference then
        return;
    end;
    select p.* into duty from postmill.prunings as p
    where p.due_at <= clock_timestamp() order by p.due_at limit 1 for update skip locked;
    if duty.queue_name is null then
        return;
    end if;
    select postmill.now() - q.archive_retention,
           postmill.now() - case when q.queue_name is null then interval '7 days' else q.history_retention end
    into archive_horizon, history_horizon
    from (select) as always left join postmill.queues as q on q.queue_name = duty.queue_name;
    queue_name := duty.queue_name;
    archived := 0; failures := 0; history := 0; workers := 0;
    begin
        workers := postmill._prune_workers(page);
        while true = any (more_kinds) and clock_timestamp() < ends_at and archived + failures + history < max_rows loop
            if more_kinds[1] then
                select * into step
                from postmill._prune_archive(queue_name, archive_horizon, page, duty.archive_position);
                archived := archived + step.pruned;
                more_kinds[1] := step.more;
                duty.archive_position := case when step.more then step.start else '-infinity' end;
            end if;
            if more_kinds[2] then
                select * into step
                from postmill._prune_failures(queue_name, history_horizon, page, duty.failure_position);
                failures := failures + step.pruned;
                more_kinds[2] := step.more;
                duty.failure_position := case when step.more then step.start else 0 end;
            end if;
            if more_kinds[3] then
                select * into step from postmill._prune_history(queue_name, history_horizon, page);
                history := history + step.pruned;
                more_kinds[3] := step.more;
            end if;
        end loop;
    exception
        when others then  -- also a foreign key or a trigger of somebody's own: the next queue has its turn all the same
            if sqlstate not in ('55P03', '40P01') then  -- lock_not_available, deadlock_detected: they pass
                raise warning 'queue % can''t be pruned: %', quote_literal(duty.queue_name), sqlerrm;
            end if;
            archived := 0; failures := 0; history := 0; workers := 0; more_kinds := array[false];
            duty.archive_position := '-infinity'; duty.failure_position := 0;
    end;
    more := true = any (more_kinds);
    update postmill.prunings as p
       set due_at = case when more then clock_timestamp() else clock_timestamp() + interval '1 minute' end,
           archive_position = duty.archive_position, failure_position = duty.failure_position
     where p.queue_name = duty.queue_name;
    return next;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/prune', '', '259f880af6b45697383203dcebdbf1db846d669612f45a204fa26a3a6337a511')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.purge_queue(name text) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(purge_queue.name);
    after_id bigint := 0;
    ids      bigint[];
    running  bigint[];
    gone     bigint;
    total    bigint := 0;
begin
    loop
        execute format(
            'select array(select msg_id from %s where msg_id > $1 order by msg_id limit 10000 for update skip locked)',
            relation) into ids using after_id;
        exit when ids = '{}';
        running := postmill._running(purge_queue.name, ids);
        execute format('delete from %s where msg_id = any ($1) and msg_id <> all ($2)', relation) using ids, running;
        get diagnostics gone = row_count;
        total := total + gone;
        after_id := ids[cardinality(ids)];
    end loop;
    return total;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/purge_queue', '', '7f6972195903f975fd0719c8aacace20ba3a5b0ad7d89dccece5c04d6a2c91bc')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.queue_stats(queue text default null, exactly boolean default false)
returns table (
    queue_name       text,
    ready            bigint,
    running          bigint,
    retrying         bigint,
    scheduled        bigint,
    dead             bigint,
    total            bigint,
    oldest_ready_age interval,
    paused_at        timestamptz,
    pause_reason     text,
    workers          bigint,
    owned            boolean,
    exact            boolean
)
language plpgsql stable
set search_path = ''
as $$
declare
    most_dead bigint := case when exactly then null else 10000 end;
    oldest    timestamptz;
begin
    if queue is not null then
        perform postmill._queue_table(queue);
    end if;
    for queue_name in
        select meta.queue_name from pgmq.meta as meta
        where (queue is null or meta.queue_name = queue)
          and to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name))) is not null
        order by meta.queue_name
    loop
        select depth.ready, depth.running, depth.later_tried, depth.later_new, depth.oldest, depth.exact
        into ready, running, retrying, scheduled, oldest, exact
        from postmill._depth(queue_name, exactly) as depth;
        total := ready + running + retrying + scheduled;
        oldest_ready_age := case when oldest is not null then clock_timestamp() - greatest(oldest, '2000-01-01') end;
        select count(*) into dead from (
            select from postmill.dead_letters as letter
            where letter.queue_name = queue_stats.queue_name and letter.replayed_at is null
            limit most_dead
        ) as letter;
        exact := exact and dead is distinct from most_dead;
        select count(*) into workers from postmill.active_workers as worker
        where worker.queue_name = queue_stats.queue_name;
        select row.paused_at, row.pause_reason, coalesce(row.owned, false) into paused_at, pause_reason, owned
        from (select) as always left join postmill.queues as row on row.queue_name = queue_stats.queue_name;
        return next;
    end loop;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/queue_stats', '', '533698c9e94be72969dd3b6aad21329bc50841d72f95a32c4ff4ce6d9d222f40')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.replay(
    queue      text,
    letter_ids bigint[] default null,
    message    jsonb default null
) returns table (letter_id bigint, msg_id bigint)
language plpgsql
set search_path = ''
as $$
declare
    letter     postmill.dead_letters;
    origin     jsonb;
begin
    perform postmill._queue_table(queue);
    if replay.message is not null and coalesce(cardinality(letter_ids), 0) <> 1 then
        raise exception 'a new payload goes with exactly one letter'
            using errcode = 'PM003', hint = 'Name it: letter_ids => array[42].';
    end if;
    for letter in
        select * from postmill.dead_letters as candidate
        where candidate.queue_name = queue and candidate.replayed_at is null
          and (letter_ids is null or candidate.letter_id = any (letter_ids))
        order by candidate.letter_id for update skip locked
    loop
        origin := case when postmill._has_headers()
            then jsonb_build_object('postmill-replayed-from', letter.letter_id) end;
        letter_id := letter.letter_id;
        msg_id := postmill.send(
            queue => queue,
            message => coalesce(replay.message, letter.message, 'null'),
            headers => coalesce(letter.headers, '{}') || origin);
        update postmill.dead_letters as replayed
        set replayed_at = clock_timestamp(), replayed_as = replay.msg_id, replayed_by = session_user
        where replayed.letter_id = letter.letter_id;
        return next;
    end loop;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/replay', '', '741768b9380d740b63f835ca551dcc4d17f5a3ff1a215b0abe8fc66f85755f50')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.rescue(
    max_claims integer default 100, connected_since timestamptz default '-infinity'
)
returns table (queue_name text, worker_id uuid, msg_ids bigint[])
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    claim record;
    above bigint := 0;
    looked_at integer;
    returned integer := 0;
begin
    with judged as (
        select w.worker_id, gone.reason
          from postmill._gone_workers(greatest(connected_since, postmill._server_since())) as gone
          join postmill.workers as w using (worker_id)
         where w.stopped_at is null and w.last_heartbeat_at = gone.last_heartbeat_at
           for update of w skip locked)
    update postmill.workers as w
       set stopped_at = clock_timestamp(), stop_reason = judged.reason
      from judged
     where w.worker_id = judged.worker_id;
    for pass in 1..2 loop
        looked_at := 0;
        for claim in
            select c.claim_id, c.worker_id, c.queue_name, c.msg_ids, c.read_cts, c.claimed_at,
                   case when w.stop_reason = 'silence' then 'lost_lease' else 'crash' end as kind,
                   case when w.stop_reason = 'silence' then 'the worker was silent for longer than its lease'
                        else 'the worker ended while it held this message' end as reason
              from postmill.claims as c
              left join postmill.workers as w using (worker_id)
             where c.claim_id > above
               and (w.worker_id is null
                    or (w.stopped_at is not null
                        and (c.claimed_at <= w.stopped_at
                             or clock_timestamp() > c.claimed_at + postmill._silent_after(w.lease))))
             order by c.claim_id
             limit max_claims
               for update of c skip locked
        loop
            looked_at := looked_at + 1;
            above := claim.claim_id;
            queue_name := claim.queue_name;
            worker_id := claim.worker_id;
            msg_ids := postmill.return_claim(claim.queue_name, claim.worker_id, claim.msg_ids, claim.read_cts,
                                             claim.claimed_at, claim.kind, claim.reason);
            if msg_ids is not null then
                delete from postmill.claims as c where c.claim_id = claim.claim_id;
                returned := returned + 1;
                return next;
            end if;
        end loop;
        exit when looked_at < max_claims or returned >= looked_at;
        above := above
                 + floor(random() * (coalesce((select max(c.claim_id) from postmill.claims as c), above) - above));
    end loop;
    msg_ids := null;
    for queue_name, worker_id in select * from postmill._suspect_workers() loop
        return next;
    end loop;
end;
$$;
insert into postmill.components (name, version, sha256) values ('functions/rescue', '', '2c13bfeed54e5ab355b5c1ed0426526314eee72af2da14f0dec20988b9ace551')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.resume(queue text) returns void
language plpgsql
set search_path = ''
as $$
begin
    perform postmill._queue_table(queue);
    update postmill.queues set paused_at = null, paused_by = null, pause_reason = null where queue_name = queue;
    perform pg_notify(('postmill.' || queue)::name::text, 'resume');
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/resume', '', '8e6e2dcc5532121f9a9f33c8f9fecd25050519661e1187c76dd5151366635183')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.retry(queue text, msg_id bigint) returns text
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
    waits    boolean;
begin
    execute format('select true from %s where msg_id = $1 for update', relation) into waits using retry.msg_id;
    if waits is null then
        return case when exists (
            select from postmill.dead_letters as letter,
                lateral postmill.replay(letter.queue_name, array[letter.letter_id]) as replayed
            where letter.queue_name = queue and letter.msg_id = retry.msg_id and letter.replayed_at is null
        ) then 'replayed' else 'not found' end;
    end if;
    if postmill._running(queue, array[retry.msg_id]) <> '{}' then
        return 'running';
    end if;
    execute format('update %s set vt = clock_timestamp() where msg_id = $1', relation) using retry.msg_id;
    perform postmill._wake_one(queue);
    return 'ready';
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/retry', '', '847c0e4715ede6ff8eeaa25d50d58d4c0bd99a3bcf56bfa9dd1e21619a2c4b3e')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.return_claim(
    queue_name text, worker_id uuid, msg_ids bigint[], read_cts integer[], claimed_at timestamptz,
    kind text default 'crash', reason text default 'the worker ended while it held this message')
returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
    given_back bigint[];
begin
    if to_regclass(format('pgmq.%I', 'q_' || lower(queue_name))) is null then
        return '{}';
    end if;
    execute format('lock table pgmq.%I in row exclusive mode nowait', 'q_' || lower(queue_name));
    execute format(
        'with held as (
             select q.msg_id
               from (select * from unnest($1, $2) as t (msg_id, read_ct) order by msg_id) as t
              cross join lateral (
                    select q.msg_id from pgmq.%1$I as q
                     where q.msg_id = t.msg_id and q.read_ct = t.read_ct
                       and (q.enqueued_at <= $5 or q.enqueued_at > clock_timestamp())
                       for update nowait
                    ) as q),
         back as (
             update pgmq.%1$I as q set vt = clock_timestamp()
              where q.msg_id = any (array(select msg_id from held))
             returning q.msg_id, q.enqueued_at),
         ended as (
             select back.msg_id, back.enqueued_at from back
             union all
             select q.msg_id, q.enqueued_at
               from unnest($1, $2) as t (msg_id, read_ct)
              cross join lateral (
                    select q.msg_id, q.enqueued_at from pgmq.%1$I as q
                     where q.msg_id = t.msg_id and q.read_ct > t.read_ct
                       and (q.enqueued_at <= $5 or q.enqueued_at > clock_timestamp())
                    offset 0  -- id by id: joined as a whole, it may cost a walk through the queue
                    ) as q),
         recorded as (
             insert into postmill.failures (queue_name, msg_id, attempt, worker_id, kind, error_message, started_at)
             select $3, ended.msg_id,
                    1 + (select count(*) from postmill.failures as f
                          where f.queue_name = $3 and f.msg_id = ended.msg_id and f.kind <> ''lost_lease''
                            and f.failed_at >= case when ended.enqueued_at <= clock_timestamp() then ended.enqueued_at
                                                    else ''-infinity'' end),
                    $4, $6, $7, $5
               from ended)
         select coalesce(array_agg(msg_id), ''{}'') from back',
        'q_' || lower(queue_name))
    into given_back
    using msg_ids, read_cts, queue_name, worker_id, claimed_at, kind, reason;
    perform pg_notify(('postmill.' || queue_name)::name::text, '');
    return given_back;
exception
    when lock_not_available then
        return null;
    when others then
        raise warning 'messages of queue % can''t be given back: %', queue_name, sqlerrm using errcode = sqlstate;
        return null;
end;
$$;
insert into postmill.components (name, version, sha256) values ('functions/return_claim', '', '591493d99eb06a7a060770c6166f5da4acbfebf77fcbafabc1358038c64f97b9')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.send(
    queue   text,
    message jsonb,
    delay   interval default null,
    run_at  timestamptz default null,
    headers jsonb default null
) returns bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    due_at timestamptz := postmill._due_at(send.delay, send.run_at);
    sent   bigint;
begin
    perform postmill._queue_table(queue);
    if message is null then
        raise exception 'the message is null'
            using errcode = 'PM003', hint = 'For the JSON value null send ''null''::jsonb.';
    elsif jsonb_typeof(headers) <> 'object' then
        raise exception 'headers must be a JSON object, not %', jsonb_typeof(headers)
            using errcode = 'PM003', hint = 'For example: ''{"tenant": "acme"}''::jsonb.';
    end if;
    if postmill._has_headers() then
        select id into sent
        from pgmq.send(queue_name => queue, msg => message, headers => send.headers, delay => due_at) as id;
    else
        if headers is not null then
            perform postmill._refuse_headers();
        end if;
        select id into sent
        from pgmq.send(queue_name => queue, msg => message, delay => postmill._seconds_until(due_at)) as id;
    end if;
    return sent;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/send', '', '6d4276d85893ee5c965a18788cce3cf5cf6ed6a81bbf0b13c78bef14f73836d4')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.send_batch(
    queue    text,
    messages jsonb[],
    delay    interval default null,
    run_at   timestamptz default null,
    headers  jsonb[] default null
) returns setof bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    due_at timestamptz := postmill._due_at(send_batch.delay, send_batch.run_at);
begin
    perform postmill._queue_table(queue);
    if messages is null or array_position(messages, null) is not null then
        raise exception 'a message of the batch is null'
            using errcode = 'PM003', hint = 'For the JSON value null send ''null''::jsonb.';
    elsif cardinality(headers) <> cardinality(messages) then
        raise exception '% headers for % messages', cardinality(headers), cardinality(messages)
            using errcode = 'PM003', hint = 'Give one entry a message, null where a message has none.';
    elsif exists (select from unnest(headers) as header where jsonb_typeof(header) <> 'object') then
        raise exception 'each entry of headers must be a JSON object or null'
            using errcode = 'PM003', hint = 'For example: ''{"tenant": "acme"}''::jsonb.';
    end if;
    if cardinality(messages) = 0 then
        return;
    end if;
    if postmill._has_headers() then
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, headers => send_batch.headers, delay => due_at);
    elsif array_remove(headers, null) <> '{}' then
        perform postmill._refuse_headers();
    else
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, delay => postmill._seconds_until(due_at));
    end if;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/send_batch', '', 'eb20481643e705804c2dddaa6f71a7bc537a7f5e43c0329d96da917a31cdbe8c')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.set_retention(queue text, retention interval) returns void
language plpgsql
set search_path = ''
as $$
begin
    perform postmill._queue_table(queue);
    if not isfinite(retention) or retention > interval '10000 years' then
        raise exception 'a retention of % never ends', retention
            using errcode = 'PM003', hint = 'Give null to keep for ever.';
    end if;
    if retention < interval '0' then
        raise exception 'a retention of % is negative', retention
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days'', or null to keep for ever.';
    end if;
    insert into postmill.queues (queue_name, owned, archive_retention, history_retention)
    values (queue, false, retention, retention)
    on conflict (queue_name) do update
    set archive_retention = excluded.archive_retention, history_retention = excluded.history_retention;
    insert into postmill.prunings (queue_name) values (queue)
    on conflict (queue_name) do update
    set due_at = excluded.due_at, archive_position = excluded.archive_position,
        failure_position = excluded.failure_position;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/set_retention', '', '7ecd1a192b8ed7f74e9f91819b012a24fcfbbedb19ade6e7bbc67169be46e250')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace function postmill.wake() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    perform postmill._wake_one(tg_argv[0]);
    return null;
end
$$;
insert into postmill.components (name, version, sha256) values ('functions/wake', '', '19fff4cc2e68da794eed68e0bd4bcd113a1590a2d2199ad3c2a4e5a511043ee4')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace view postmill.active_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers
where stopped_at is null and last_heartbeat_at >= clock_timestamp() - interval '6 seconds';
insert into postmill.components (name, version, sha256) values ('views/active_workers', '', 'a6fdaa1f5fae49cb25f9427a72d49b0a66c8db2e84d8c9e1d26ace4f864da110')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace view postmill.cancelled as
select
    queue_name, msg_id, requested_at, requested_by, cancelled_at, message, headers, enqueued_at
from postmill.cancellations;
insert into postmill.components (name, version, sha256) values ('views/cancelled', '', '6a1848446a76b115e388495a1d6e878b6b5cdb4efaba79bd43239d45d42a203e')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace view postmill.dead as
select
    letter_id, queue_name, msg_id, attempts, kind, reason, error_type, traceback, message, headers,
    enqueued_at, died_at, replayed_at, replayed_as, replayed_by
from postmill.dead_letters;
insert into postmill.components (name, version, sha256) values ('views/dead', '', 'ab3e9aa751ed0186edafc1e46753af3216e3daf814d667c479fa374b0df210ef')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace view postmill.failed_attempts as
select
    failure_id, queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at,
    failed_at
from postmill.failures;
insert into postmill.components (name, version, sha256) values ('views/failed_attempts', '', '0b46fba06de5c9d29c2131342128a1487a4cc797dab0454392f290fe79e592cd')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create or replace view postmill.inactive_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers as worker
where not exists (select from postmill.active_workers as active where active.worker_id = worker.worker_id);
insert into postmill.components (name, version, sha256) values ('views/inactive_workers', '', 'e66620dca4bf577df2755c53b0d6518475d9cab7707fff0351dbf80e680123e0')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
create schema if not exists edge_worker;
comment on schema edge_worker is 'Facade of Postmill: the views people know from Edge Worker.';
create or replace view edge_worker.workers as
select
    worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.workers;
create or replace view edge_worker.active_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.active_workers;
create or replace view edge_worker.inactive_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.inactive_workers;
insert into postmill.components (name, version, sha256) values ('compat/edge_worker', '', '210bdcbc64e0ab7fb450cf8752eab3186138372e0c8508609f8eda25cdd35bb1')
on conflict (name) do update
set version = excluded.version, sha256 = excluded.sha256, installed_at = clock_timestamp();
revoke execute on all functions in schema postmill from public;
