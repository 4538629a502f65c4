-- Tells of new jobs of the second version.
create or replace trigger supaworker_wake after insert on supaworker.jobs
    referencing new table as inserted for each statement execute function supaworker._tell();
comment on trigger supaworker_wake on supaworker.jobs is 'Facade supaworker of Postmill: tells of new jobs.';
