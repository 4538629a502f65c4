-- What a step has given. Of a map: the list of its items' results in their order, without those of items that failed;
-- it is put together when it is read. Null: the step has given nothing (it has not ended, or was skipped).
-- Called by _step_inputs, _condition_met and _list_of, and by people who look at a run. Takes no locks. Errors: none.
create or replace function postmill._output(of_step postmill.steps) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
    if of_step.output is not null or of_step.tasks is null or of_step.state <> 'completed' then
        return of_step.output;
    end if;
    return (select coalesce(jsonb_agg(i.output order by i.item), '[]')
              from postmill.items as i
             where i.run_id = of_step.run_id and i.step = of_step.step and i.ended and i.reason is null);
end
$$;
