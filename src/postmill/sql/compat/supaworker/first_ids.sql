-- Ids of jobs in public.supaworker_jobs, until Supaworker's own migration gives the table its ids from 1 on. They begin
-- so high that the two never meet, and still are whole numbers to JavaScript, which counts to 9,007,199,254,740,991.
create sequence if not exists supaworker.first_ids start with 1000000000000;
comment on sequence supaworker.first_ids is 'Facade supaworker of Postmill: ids of jobs, before its own migration ran.';
