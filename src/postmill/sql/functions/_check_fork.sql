-- Refuses to fork a run at a step that it does not have, and at any while it undoes what would be copied. Called by
-- fork_run. Takes no locks. Errors: PM003, PM012.
create or replace function postmill._check_fork(source postmill.runs, step text, given text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known text[] := array(
        select known.step from postmill.flow_steps as known where known.version_id = source.version_id
        union
        select recorded.step from postmill.steps as recorded where recorded.run_id = source.run_id);
    wrong text := (select name from unnest(given || _check_fork.step) as name
                   where name is not null and name <> all (known) limit 1);
begin
    if wrong is not null then
        raise exception 'run % of flow % has no step %', source.run_id, quote_literal(source.flow), quote_literal(wrong)
            using errcode = 'PM003', detail = format('It has: %s.', array_to_string(known[:20], ', ')),
                  hint = coalesce(postmill._did_you_mean(wrong, known),
                                  format('postmill run show %s', source.run_id));
    elsif step is not null and (source.state = 'undoing' or postmill._still_undone(source) is not null) then
        perform postmill._refuse_run(source, 'forked at a step while it undoes what it has done',
                                     'Try again when a worker has undone it.');
    end if;
end
$$;
