-- What a worker needs to know of steps whose tasks it has claimed: the version, the states of the run and of the step,
-- and what each parameter is given. Of a map the item's own value is in its message. A source that was skipped gives
-- null. Nothing comes back for a run or a step that is not there: messages can be forged. For the compensation of a
-- step, `output` is what it has given. `run_input`: for a first step, and one that reads the run's input, where its
-- program has to look at that, as JSON text: null is an input too. `fitting`: runs whose input it has looked at.
-- Called by the statement step_inputs and by _settle_steps. Takes no locks. Errors: none.
create or replace function postmill._step_inputs(run_ids bigint[], steps text[], fitting bigint[] default '{}')
returns table (run_id bigint, step text, flow text, version integer, version_id integer, kind text, run_state text,
               step_state text, inputs jsonb, output jsonb, run_input text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
begin
    return query
    select t.run_id, t.step, run.flow, version.version, run.version_id, step.kind, run.state, s.state,
           (select coalesce(jsonb_object_agg(read.key, postmill._read(read.value, run.run_id, run.input)), '{}')
              from jsonb_each(step.reads) as read where read.value ->> 'as' <> 'each'),
           case when run.state in ('undoing', 'failed') and step.compensates then postmill._output(s) end,
           case when version.checks_input and t.run_id <> all (fitting)
                     and (step.needs = '{}' or step.over ->> 'of' = 'input'
                          or step.reads @? '$.* ? (@.of == "input")') then run.input::text end
      from (select distinct * from unnest($1, $2) as given (run_id, step)) as t
--+ its_run
--+ its_version
--+ its_step
      left join lateral (
           select * from postmill.steps as k where k.run_id = t.run_id and k.step = t.step offset 0) as s on true;
end
$$;
