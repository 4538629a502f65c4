-- Every call queue, for people and dashboards. Without headers: they may hold keys.
create or replace view postmill.call_queue_list as
select calling.queue_name as queue, calling.function_name as function, calling.url, known.max_running as workers,
       calling.max_attempts, calling.timeout_ms * interval '1 millisecond' as timeout, calling.created_by,
       calling.changed_at
  from postmill.call_queues as calling
  join postmill.queues as known on known.queue_name = calling.queue_name;
