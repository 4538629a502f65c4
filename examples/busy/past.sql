-- What workers have written of the last six hours: what was done by the minute, and how full the queues were.
-- Called by examples.busy.filled.
insert into postmill.minutes (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
select date_trunc('minute', now()) - n * interval '1 minute', queue, 0, done, done, failed, failed / 6, done * 340,
    done * (900 + n * 3)
from (values ('emails', 150), ('invoices', 12), ('webhooks', 90), ('search-index', 1531), ('reports', 2))
    as busy(queue, pace),
    generate_series(0, 359) n,
    lateral (select (pace * (1 + 0.35 * sin(n / 17.0 + pace)) * (0.8 + 0.4 * random()))::bigint as done,
        (pace * 0.03 * greatest(0, sin(n / 31.0 + pace)) * (1 + random()))::bigint as failed) as did
where not (queue = 'webhooks' and n < 18);
insert into postmill.queue_samples (queue_name, at, ready, running, retrying, scheduled, waiting, dead)
select queue, date_trunc('minute', now()) - n * interval '1 minute', (pace * (1.5 + sin(n / 23.0)) * 2)::bigint,
    pace / 10, (pace * greatest(0, sin(n / 31.0)))::bigint, 18, 3, 14
from (values ('emails', 150), ('invoices', 12), ('webhooks', 90)) as busy(queue, pace), generate_series(0, 359) n;
