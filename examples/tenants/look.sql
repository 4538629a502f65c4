-- How each tenant fares: what is in the queue, what of it runs, what is done, and how long that had waited.
with queued as (
    select message ->> 'tenant' as tenant, count(*) as messages from pgmq.q_renders group by 1
),
running as (
    select message ->> 'tenant' as tenant, count(*) as messages from postmill.messages('renders', 'running') group by 1
),
rendered as (
    select tenant, count(*) as pages, max(waited_ms) as longest_ms,
           percentile_cont(0.5) within group (order by waited_ms) as middle_ms
      from tenants.rendered group by tenant
)
select tenant,
       greatest(0, coalesce(queued.messages, 0) - coalesce(running.messages, 0)) as waiting,
       coalesce(running.messages, 0) as running,
       coalesce(rendered.pages, 0) as done,
       rendered.middle_ms,
       rendered.longest_ms
  from queued full join running using (tenant) full join rendered using (tenant)
 order by tenant
