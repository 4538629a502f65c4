-- Each update of a job renews its lease.
create or replace trigger touch before update on supaworker.jobs
    for each row execute function supaworker._touch();
comment on trigger touch on supaworker.jobs is 'Facade supaworker of Postmill: renews a lease.';
