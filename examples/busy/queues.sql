-- Queues with messages in every state, workers, failures of several kinds, dead letters, limits, schedules and calls.
-- Called by examples.busy.filled on an empty database, as its owner. What workers would write stands here by itself.
select postmill.create_queue(name) from unnest(array[
    'emails', 'thumbnails', 'invoices', 'webhooks', 'reports', 'search-index', 'push',
    'audit-log-of-every-tenant-in-the-european-zone'
]) name;

select postmill.send_batch('emails', array(
    select jsonb_build_object('to', format('person%s@example.org', n), 'template',
    case n % 3 when 0 then 'welcome' else 'receipt' end,
        'order', 90000 + n, 'api_key', 'sk-live-' || n) from generate_series(1, 340) n));
select postmill.send_batch('webhooks', array(
    select jsonb_build_object('event', 'order.paid', 'url', 'https://hooks.example.net/' || n)
    from generate_series(1, 24150) n));
select postmill.send_batch('thumbnails', array(
    select jsonb_build_object('image', n || '.jpg', 'sizes', array[64, 256]) from generate_series(1, 57) n));
select postmill.send_batch('invoices', array(select jsonb_build_object('invoice', n) from generate_series(1, 12) n));
select postmill.send_batch('push', array(select jsonb_build_object('device', n) from generate_series(1, 31) n),
    '2 hours');
select postmill.send('emails', jsonb_build_object('to', 'later@example.org'),
    run_at => now() + interval '3 hours') from generate_series(1, 18);
select postmill.send('reports', '{"month": "2026-10"}', after => array['invoices:1']) from generate_series(1, 3);
select postmill.send('reports', '{"month": "2026-09", "rows": 1200000}');

-- Workers: two alive, one that drains, one silent, two that stopped.
insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent, in_flight,
    started_at, last_heartbeat_at, deprecated_at, stopped_at, stop_reason) values
('0198c5a1-1f3e-7c1a-9b2d-3e4f5a6b7c81', 'emails', 'send_email', 'worker-1.eu-central.example.internal', 4121,
    '0.9.0', 40, 9, now() - interval '6 hours', now(), null, null, null),
('0198c5a2-2f3e-7c1a-9b2d-3e4f5a6b7c82', 'emails', 'send_email', 'worker-2.eu-central.example.internal', 4188,
    '0.9.0', 40, 0, now() - interval '6 hours', now(), now() - interval '20 s', null, null),
('0198c5a3-3f3e-7c1a-9b2d-3e4f5a6b7c83', 'invoices', 'make_invoice', 'worker-1.eu-central.example.internal', 4122,
    '0.9.0', 8, 2, now() - interval '3 days', now(), null, null, null),
('0198c5a4-4f3e-7c1a-9b2d-3e4f5a6b7c84', 'webhooks', 'post_webhook', 'worker-3.eu-central.example.internal', 977,
    '0.8.2', 16, 0, now() - interval '2 days', now() - interval '18 minutes', null, null, null),
('0198c5a5-5f3e-7c1a-9b2d-3e4f5a6b7c85', 'thumbnails', 'resize', 'worker-2.eu-central.example.internal', 4001,
    '0.9.0', 4, 0, now() - interval '5 days', now() - interval '7 hours', null, now() - interval '7 hours',
    'SIGTERM'),
('0198c5a6-6f3e-7c1a-9b2d-3e4f5a6b7c86', 'emails', 'send_email', 'worker-1.eu-central.example.internal', 3999,
    '0.8.2', 40, 0, now() - interval '9 days', now() - interval '6 hours', null, now() - interval '6 hours',
    'A newer version took over.');

-- Running: held by a claim.
update pgmq.q_emails set read_ct = 1, vt = clock_timestamp() + interval '10 minutes' where msg_id between 40 and 48;
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts, claimed_at)
select '0198c5a1-1f3e-7c1a-9b2d-3e4f5a6b7c81', 'emails', array_agg(n), array_agg(1), now() - interval '4 s'
    from generate_series(40, 48) n;
update pgmq.q_invoices set read_ct = 1, vt = clock_timestamp() + interval '10 minutes' where msg_id in (2, 3);
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts, claimed_at)
values ('0198c5a3-3f3e-7c1a-9b2d-3e4f5a6b7c83', 'invoices', array[2, 3], array[1, 1], now() - interval '75 s');

-- Retrying: failed, and due again later.
update pgmq.q_emails set read_ct = 3, enqueued_at = now() - interval '31 minutes',
    vt = clock_timestamp() + interval '38 minutes' where msg_id between 20 and 39;
update pgmq.q_invoices set read_ct = 2, vt = clock_timestamp() + interval '4 minutes' where msg_id between 5 and 6;
insert into postmill.failures (queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback,
    started_at, failed_at)
select 'emails', n, attempt, '0198c5a1-1f3e-7c1a-9b2d-3e4f5a6b7c81',
    case when attempt = 2 then 'timeout' else 'error' end,
    case when attempt = 2 then 'TimeoutError' else 'smtplib.SMTPServerDisconnected' end,
    case when attempt = 2 then 'The handler ran longer than 30 s.'
        else 'Connection unexpectedly closed by mx' || n || '.example.org' end,
    E'Traceback (most recent call last):\n  File "/srv/shop/mail.py", line 41, in send_email\n'
    '    server.send_message(made)\n'
    '  File "/usr/lib/python3.12/smtplib.py", line 401, in getreply\n'
    '    raise SMTPServerDisconnected("Connection unexpectedly closed")\nsmtplib.SMTPServerDisconnected: Connection unexpectedly closed',
    now() - interval '30 minutes' + attempt * interval '6 minutes',
    now() - interval '29 minutes' + attempt * interval '6 minutes'
from generate_series(20, 39) n, generate_series(1, 3) attempt;
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message, traceback, started_at,
    failed_at)
select 'invoices', n, 1, 'crash', null,
    'The process of the handler was killed by signal 9; perhaps the system was out of memory.', null,
    now() - interval '3 minutes', now() - interval '2 minutes' from generate_series(5, 6) n;
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message, failed_at)
select 'webhooks', n, 1, 'invalid_payload', 'pydantic.ValidationError', 'url: the scheme has to be https',
    now() - n * interval '25 minutes' from generate_series(1, 30) n;

-- Dead, and one that was put back.
insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind,
    reason, error_type, traceback, died_at)
select 'emails', n, 5, now() - interval '2 days', jsonb_build_object('to', format('gone%s@example.org', n),
    'password', 'hunter2'), '{"x-tenant": "acme"}',
    5, 'error', 'All 5 attempts failed.', 'smtplib.SMTPRecipientsRefused',
    E'Traceback (most recent call last):\n  File "/srv/shop/mail.py", line 41, in send_email\n'
    'smtplib.SMTPRecipientsRefused: 550 no such mailbox',
    now() - n * interval '37 minutes' from generate_series(1, 14) n;
insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason, died_at)
select 'webhooks', n, 1, now() - interval '1 day', '{"event": "order.paid", "url": "http://plain.example.net/"}', 1,
    'invalid_payload',
    'The payload is not what the handler takes: url: the scheme has to be https',
    now() - n * interval '25 minutes' from generate_series(1, 30) n;
delete from pgmq.q_emails where msg_id between 1 and 14;
delete from pgmq.q_webhooks where msg_id between 1 and 30;
select postmill.replay('emails', array[14]);
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message, traceback, started_at,
    failed_at)
select 'emails', n, attempt, 'error', 'smtplib.SMTPRecipientsRefused', '550 no such mailbox',
    E'Traceback (most recent call last):\n  File "/srv/shop/mail.py", line 41, in send_email\n'
    'smtplib.SMTPRecipientsRefused: 550 no such mailbox',
    now() - interval '2 days' + attempt * interval '5 hours',
    now() - interval '2 days' + attempt * interval '5 hours' + interval '40 s'
from generate_series(1, 14) n, generate_series(1, 5) attempt;

-- Completed and cancelled.
insert into postmill.results (queue_name, msg_id, result) values ('invoices', 1,
    '{"pdf": "invoices/2026/1.pdf", "pages": 3}');
select pgmq.archive('emails', array(select generate_series(15, 19)));
select postmill.cancel('thumbnails', n) from generate_series(1, 4) n;

select postmill.pause('thumbnails', 'The image server moves to new disks until 18:00 (ticket OPS-2231).');
select postmill.limit_queue('emails', max_running => 30, starts => 600, per => '1 minute');
select postmill.limit_groups('emails', max_running => 4);
select postmill.set_retention('emails', '14 days', 2000000);

select postmill.schedule('digest', '0 7 * * 1-5', 'emails', '{"template": "digest"}', timezone => 'Europe/Berlin');
select postmill.schedule('nightly-invoices', '30 2 * * *', 'invoices', timezone => 'Europe/Berlin');
select postmill.schedule('heartbeat', '30 seconds', 'push');
select postmill.schedule_call('warm the cache', '*/15 * * * *', 'https://shop.example.org/warm');
select postmill.schedule_sql('tidy', '15 4 * * *',
    'delete from sessions where seen_at < now() - interval ''30 days''');
select postmill.pause_schedule('heartbeat');
update postmill.schedules set created_at = now() - interval '90 days',
    next_at = case when name = 'digest' then now() + interval '9 hours' else now() + interval '7 minutes' end
where paused_at is null;
insert into postmill.schedule_runs (schedule_id, tick, fired_at, queue_name, msg_id, status, reason, ended_at)
select schedule_id, tick, tick + interval '80 ms', 'emails', n,
    case when n % 17 = 0 then 'failed' when n % 13 = 0 then 'skipped' else 'succeeded' end,
    case when n % 17 = 0 then 'smtplib.SMTPServerDisconnected: Connection unexpectedly closed'
        when n % 13 = 0 then 'The message of the last tick was not done.' end,
    case when n % 13 > 0 then tick + n * interval '130 ms' end
from postmill.schedules, generate_series(1, 50) n, lateral (select date_trunc('hour',
    now()) - n * interval '1 day') as at(tick) where name = 'digest';

-- Calls: waiting, in flight, answered well and badly, without an answer.
select postmill.call('https://shop.example.org/warm?page=' || n, method => 'GET') from generate_series(1, 4) n;
select postmill.call('https://hooks.example.net/orders', '{"order": 90021}', max_attempts => 5)
    from generate_series(1, 6);
update postmill.calls set started_at = now(), attempts = 1,
    lost_at = now() + interval '1 minute' where call_id in (1, 2, 5);
update postmill.calls set attempts = 2, due_at = now() + interval '2 minutes',
    last_error = 'The host answered 503.' where call_id in (6, 7);
insert into postmill.call_responses (call_id, method, url, status_code, content_type, headers, content, timed_out,
    error_msg, attempts, created_by, created_at)
select 100 + n, 'POST', 'https://hooks.example.net/orders',
    case when n % 9 = 0 then null when n % 5 = 0 then 503 else 200 end, 'application/json',
    '{"content-type": "application/json", "x-request-id": "7f1c"}', '{"ok": true}', n % 9 = 0,
    case when n % 9 = 0 then 'No answer within 5 s.' end, 1 + n % 3,
    session_user, now() - n * interval '40 s' from generate_series(1, 60) n;

select postmill.start_operation('retry', 'emails', '{"error": "disconnected"}', per_second => 5, expected => 20);
select postmill.start_operation('discard', 'webhooks', '{}', expected => 30);
select postmill.abort_operation(2);
insert into postmill.audit (at, viewer, role, source, action, target, affected) values
(now() - interval '50 minutes', 'ada', 'operator', '10.0.4.17', 'queue.pause',
    '{"queue": "thumbnails", "reason": "The image server moves to new disks until 18:00 (ticket OPS-2231)."}', null),
(now() - interval '44 minutes', 'grace', 'operator', '10.0.4.22', 'letters.replay',
    '{"queue": "emails", "letter_ids": ["14"]}', 1),
(now() - interval '12 minutes', 'ada', 'operator', '10.0.4.17', 'operation.start',
    '{"queue": "emails", "kind": "retry", "filter": {"error": "disconnected"}}', null),
(now() - interval '3 minutes', 'ada', 'operator', '', 'message.reveal', '{"queue": "emails", "msg_id": "21"}', null);
