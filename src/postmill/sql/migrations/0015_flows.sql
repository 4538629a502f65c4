-- Flows: work in several steps whose whole state is here. A task is a message in a queue and nothing else: deleting it
-- by its token is the proof that it ends once. Lock order: queue rows by msg_id; steps of maps by (run_id, step); runs
-- by run_id, once a statement; then anything of the runs that are held; claims. A parent's and a child's run are never
-- locked in one statement: a child's end sends its parent a message.

-- One row a shape that a flow has had. A run stays on the version that it was started with.
create table postmill.flow_versions (
    version_id    integer generated always as identity primary key,
    flow          text not null,
    version       integer not null check (version > 0),   -- 1 for the first shape of this flow
    kind          text not null check (kind in ('graph', 'workflow')),
    shape         jsonb not null,                          -- names, kinds, edges, conditions; no code and no options
    queue_name    text not null,                           -- where its tasks go, unless a step says otherwise
    leaves        integer not null check (leaves >= 0),    -- steps that no other step needs
    defaults      jsonb not null default '{}',             -- fields of an input that does not have them
    accepts       jsonb,                                   -- a JSON Schema of its input; null: only a program can tell
    checks_input  boolean not null default false,          -- its program has to look at an input before the first steps
    deadline      interval,                                -- how long a run may take unless its start says; null: ever
    retention     interval,                                -- how long a run is kept after its end; null: 30 days
    created_at    timestamptz not null default clock_timestamp(),
    registered_at timestamptz not null default clock_timestamp(), -- when a program last said that it has it
    unique (flow, version)
);
create unique index flow_versions_shape on postmill.flow_versions (flow, md5(shape::text));

-- One row a step of a version. `chosen` is what follows the program and may change while runs live.
create table postmill.flow_steps (
    version_id integer not null references postmill.flow_versions,
    step       text not null,
    place      integer not null,                          -- in order of definition: a step needs earlier ones only
    kind       text not null check (kind in ('step', 'map', 'sleep', 'wait', 'run')),
    needs      text[] not null,                           -- steps that must have ended before
    dependents text[] not null,                           -- steps that need this one
    reads      jsonb not null,                            -- {parameter: {"of", "path", "as"}}
    over       jsonb,                                     -- what a map runs over: {"of", "path"}
    condition  jsonb,                                     -- when it runs; null: always
    on_unmet   text not null check (on_unmet in ('skip', 'skip_cascade', 'fail')),
    on_dead    text not null check (on_dead in ('fail', 'skip', 'skip_cascade', 'collect')),
    compensates boolean not null default false,           -- it has something to undo it with
    signal     text,                                      -- what a wait waits for
    -- {"queue", "window", "delay_s", "priority", "group", "timeout_s", "accepts"}; of "group" see _group_of_task
    chosen     jsonb not null default '{}',
    primary key (version_id, step)
);

-- Tasks that are to be sent, an entry each in arrays of one length; all null: none. A function that starts steps
-- returns them, and whatever began the work sends them together, once.
create type postmill.flow_tasks as (
    run_ids    bigint[],
    steps      text[],
    queues     text[],
    due_at     timestamptz[],
    messages   jsonb[],
    priorities integer[],
    groups     text[]                                     -- null: none has a group
);

-- One row a run. `wake` numbers the times that a workflow was woken: a message with another number is stale.
create table postmill.runs (
    run_id      bigint generated always as identity primary key,
    version_id  integer not null references postmill.flow_versions,
    flow        text not null,
    state       text not null default 'running'
                check (state in ('running', 'waiting', 'paused', 'undoing', 'completed', 'failed', 'cancelled')),
    input       jsonb not null,
    output      jsonb,                                    -- of a workflow; a graph's outputs are its steps'
    key         text,
    tags        text[] not null default '{}',
    priority    smallint check (priority between 0 and 9),
    leaves_left integer not null check (leaves_left >= 0),
    wake        integer not null default 0,
    waits_for   text[],                                   -- signals
    due_at      timestamptz,                              -- of a parked workflow: when it goes on at the latest
    parent_run  bigint,
    parent_step text,
    forked_from bigint,
    schedule_run bigint,                                  -- the run of a schedule that has started it
    culprit     text,                                     -- the step for whose sake it has failed
    reason      text,                                     -- why it has failed, was cancelled or is paused
    deadline    timestamptz,
    started_at  timestamptz not null default clock_timestamp(),
    ended_at    timestamptz,
    changed     xid8 not null default pg_current_xact_id()
) with (fillfactor = 70);
create unique index runs_key on postmill.runs (flow, key) where key is not null;
create index runs_deadline on postmill.runs (deadline) where deadline is not null and ended_at is null;
create index runs_flow on postmill.runs (flow, run_id);
create index runs_open on postmill.runs (run_id) where ended_at is null;
create index runs_ended on postmill.runs (flow, ended_at) where ended_at is not null;
create index runs_parent on postmill.runs (parent_run) where parent_run is not null;
create index runs_version on postmill.runs (version_id) where ended_at is null;

-- One row a step of a run that has begun, waits for some of its sources or has ended; a durable checkpoint is a row
-- that is born completed.
create table postmill.steps (
    run_id     bigint not null references postmill.runs on delete cascade,
    step       text not null,
    state      text not null check (state in ('waiting', 'started', 'completed', 'failed', 'skipped')),
    deps_left  integer not null default 0 check (deps_left >= 0),
    cut        boolean not null default false,            -- a source of it was skipped together with what needs it
    tasks      integer,                                   -- of a map
    tasks_left integer check (tasks_left >= 0),
    next_item  integer,                                   -- of a map with a window: the first that was not sent
    output     jsonb,
    inputs     text,                                      -- of a checkpoint: a hash of its arguments
    reason     text,
    attempts   integer,                                   -- of a durable step that waits: those that have failed
    due_at     timestamptz,                               -- of a durable step: when it is tried again
    undone_at  timestamptz,
    started_at timestamptz,
    ended_at   timestamptz,
    changed    xid8 not null default pg_current_xact_id(),
    primary key (run_id, step)
) with (fillfactor = 50);

-- One row an item of a map that has ended or, of a map with a window, was not sent yet. Append-only but for the latter.
create table postmill.items (
    run_id bigint not null,
    step   text not null,
    item   integer not null,
    value  jsonb,                                         -- of an item that was not sent yet
    output jsonb,
    reason text,                                          -- why it has failed; null: it has not
    ended  boolean not null default true,
    primary key (run_id, step, item),
    foreign key (run_id, step) references postmill.steps on delete cascade
);
create index items_failed on postmill.items (run_id, step, item) where reason is not null;

-- Signals that a run was sent. `taken_by`: the wait that has got it.
create table postmill.signals (
    signal_id bigint generated always as identity primary key,
    run_id    bigint not null references postmill.runs on delete cascade,
    name      text not null,
    value     jsonb not null,
    many      boolean not null default false,             -- it is one of a queue of that name
    taken_by  text,
    refused   text,                                       -- why no wait takes it: its value does not fit
    sent_at   timestamptz not null default clock_timestamp()
);
create unique index signals_one on postmill.signals (run_id, name) where not many and refused is null;
create index signals_run on postmill.signals (run_id, name, signal_id);

-- What steps say while they run, for whoever watches.
create table postmill.run_events (
    event_id bigint generated always as identity primary key,
    run_id   bigint not null references postmill.runs on delete cascade,
    step     text,
    name     text not null,
    value    jsonb not null,
    said_at  timestamptz not null default clock_timestamp(),
    changed  xid8 not null default pg_current_xact_id()
);
create index run_events_run on postmill.run_events (run_id, changed, event_id);

-- Tasks that were claimed and can't run now: their run is paused, or the worker lacks the step. Sent again on resume,
-- or when a program with the step says that it has it.
create table postmill.held_tasks (
    task_id    bigint generated always as identity primary key,
    run_id     bigint not null references postmill.runs on delete cascade,
    step       text,
    item       integer,
    queue_name text not null,
    message    jsonb not null,
    why        text not null check (why in ('paused', 'version')),
    held_at    timestamptz not null default clock_timestamp()
);
create index held_tasks_run on postmill.held_tasks (run_id);

-- When the audit of runs is due, and how far it has come: one row, which is locked by the session that has the duty.
create table postmill.flow_audit (
    is_only boolean primary key default true check (is_only),
    due_at  timestamptz not null default '-infinity',
    run_id  bigint not null default 0
);

-- The run of a flow that a schedule has started; the schedule's run ends with it. The function follows with all others.
alter table postmill.schedule_runs add column flow_run bigint; -- null: it started none
create index schedule_runs_flows on postmill.schedule_runs (flow_run) where flow_run is not null;
create or replace function postmill._end_flow_run() returns trigger language plpgsql as 'begin return null; end';
create trigger end_schedule_run after update of ended_at on postmill.runs
    for each row when (new.schedule_run is not null and old.ended_at is null and new.ended_at is not null)
    execute function postmill._end_flow_run();

-- Functions that return further columns now.
drop function if exists postmill._limit_reached(text, text);
drop function if exists postmill._time_to_come(text, bigint, integer, timestamptz, timestamptz, timestamptz);
