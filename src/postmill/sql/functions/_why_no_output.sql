-- Why a step of a run has no output, in words for people. Called by the client, when it got none. SECURITY DEFINER: as
-- step_output. Takes no locks. Errors: none.
create or replace function postmill._why_no_output(run_id bigint, step text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    known constant text[] := array(
        select found.step from postmill.run_steps as found where found.run_id = _why_no_output.run_id
         order by found.place, found.step limit 1000);
    its text := (select found.state from postmill.run_steps as found
                  where found.run_id = _why_no_output.run_id and found.step = _why_no_output.step);
begin
    if not exists (select from postmill.runs as run where run.run_id = _why_no_output.run_id) then
        return 'There is no such run.';
    elsif its is not null then
        return format('It is %s.', its);
    end if;
    return concat_ws(' ', format('The run has no such step; it has: %s.', array_to_string(known[:20], ', ')),
                     postmill._did_you_mean(step, known));
end
$$;
