-- Schedules that want a look, with their `trouble`: broken (it can't be read), late (its tick passed more than $1
-- seconds ago), failing (its last message is dead, its last SQL command or call failed, or it could not fire: the first
-- line of the error is `last_error`) or left behind (a worker's code
-- declares it, other workers of its queue run, and that one does not).
-- Called by: db checks. Takes no locks. Errors: none.
select judged.* from (
    select list.name, list.problem, list.declared_by, left(split_part(list.last_error, chr(10), 1), 200) as last_error,
           case
        when list.state = 'broken' then 'broken'
        when coalesce(list.next_at, list.changed_at) < postmill.now() - $1::float8 * interval '1 second' then 'late'
        when list.is_failing then 'failing'
        when list.declared_by is not null
             and exists (select from postmill.active_workers where queue_name = list.target ->> 'queue')
             and not exists (select from postmill.active_workers
                             where queue_name = list.target ->> 'queue' and function_name = list.declared_by)
        then 'left behind' end as trouble
      from postmill.schedule_list as list
     where list.state <> 'paused') as judged
 where judged.trouble is not null
 order by judged.name
 limit 100
