-- How far the pictures are. In psql `\watch 0.5` after it shows it live.
select queue_name, ready + running as working, waiting, completed, dead, cancelled
  from unnest(array['draw', 'resize', 'sheet']) as queue_name
 cross join lateral (
       select count(*) filter (where state in ('ready', 'retrying')) as ready,
              count(*) filter (where state = 'running') as running,
              count(*) filter (where state = 'waiting') as waiting,
              count(*) filter (where state = 'completed') as completed,
              count(*) filter (where state = 'dead') as dead,
              count(*) filter (where state = 'cancelled') as cancelled
         from postmill.messages(queue_name, max_rows => 1000)) as counted;
