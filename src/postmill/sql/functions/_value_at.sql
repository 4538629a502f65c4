-- What a run has at a place: {"of": "input" or a step, "path": [fields]}. Null: nothing is there, also because the step
-- was skipped. That is told from the JSON value null.
-- Called by _condition_met, _group_of_task, _list_of, _no_group and _step_inputs. Takes no locks. Errors: none.
create or replace function postmill._value_at(place jsonb, run_id bigint, input jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    path constant text[] := array(select jsonb_array_elements_text(coalesce(place -> 'path', '[]')));
begin
    if place ->> 'of' = 'input' then
        return input #> path;
    end if;
    return (select postmill._output(s) #> path
              from postmill.steps as s
             where s.run_id = _value_at.run_id and s.step = place ->> 'of');
end
$$;
