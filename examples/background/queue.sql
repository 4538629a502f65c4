-- The pattern of pg_cron and pgmq: a job takes messages out of a queue every 30 seconds, and works on them in SQL. The
-- messages that it reads are hidden for 30 seconds: those that it does not delete come back.
create table if not exists done (id bigint primary key, at timestamptz not null default now());

select postmill.create_queue('my_tasks');

select pgmq.send('my_tasks', '{"action": "process", "id": 123}');

select cron.schedule('consume-my-tasks', '30 seconds', $$
    with taken as (
        select msg_id, message from pgmq.read('my_tasks', 30, 5) where message ->> 'action' = 'process'
    ), worked as (
        insert into done (id) select (message ->> 'id')::bigint from taken
        on conflict do nothing
    )
    select pgmq.delete('my_tasks', msg_id) from taken
$$);
