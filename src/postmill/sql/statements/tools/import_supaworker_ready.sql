-- Whether the facade supaworker is here.
-- Called by postmill import supaworker. Takes no locks. Errors: none.
select to_regclass('supaworker.jobs') is not null
       and to_regprocedure('supaworker.bridge(text, text, integer)') is not null as ready
