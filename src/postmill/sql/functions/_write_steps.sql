-- Writes the steps of a new version, each with the steps that need it, and how many no other step needs.
-- Called by register_flow. Lock order: flow_steps (new rows), flow_versions (held). Errors: a kind that is none.
create or replace function postmill._write_steps(version_id integer, shape jsonb) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with step as (
        select each.place, each.step,
               array(select jsonb_array_elements_text(coalesce(each.step -> 'needs', '[]'))) as needs
          from jsonb_array_elements(shape -> 'steps') with ordinality as each (step, place)
    ),
    needed as (
        select need as name, array_agg(step.step ->> 'name' order by step.place) as by_steps
          from step cross join unnest(step.needs) as need
         group by need
    )
    insert into postmill.flow_steps
           (version_id, step, place, kind, needs, dependents, reads, over, condition, on_unmet, on_dead, compensates,
            signal)
    select version_id, step ->> 'name', place, coalesce(step ->> 'kind', 'step'), needs,
           coalesce(needed.by_steps, '{}'),
           coalesce(step -> 'reads', '{}'), nullif(step -> 'over', 'null'), nullif(step -> 'when', 'null'),
           coalesce(step ->> 'on_unmet', 'skip'), coalesce(step ->> 'on_dead', 'fail'),
           coalesce((step ->> 'compensates')::boolean, false), step ->> 'signal'
      from step left join needed on needed.name = step.step ->> 'name';
    update postmill.flow_versions as v
       set leaves = (select count(*) from postmill.flow_steps as s
                      where s.version_id = $1 and s.dependents = '{}')
     where v.version_id = $1;
$$;
