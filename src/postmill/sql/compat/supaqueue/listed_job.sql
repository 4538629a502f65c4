-- The ids of jobs, so that one is found by its id without a look at each message. Queue and message follow from the
-- id. A row may be missing (list_jobs() adds those of messages that were sent otherwise), or be left of a job that
-- is gone (_tidy_jobs removes it): none can name a wrong message.
create table if not exists supaqueue.listed_job (
    id         uuid primary key,
    queue      uuid not null generated always as (supaqueue._queue_of(id)) stored,
    msg_id     bigint not null generated always as (supaqueue._number_of(id)) stored,
    created_at timestamptz not null
);
create index if not exists listed_job_queue on supaqueue.listed_job (queue, msg_id);
create index if not exists listed_job_created on supaqueue.listed_job (created_at);
comment on table supaqueue.listed_job is 'Facade supaqueue of Postmill: the ids of jobs.';
