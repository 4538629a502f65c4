-- While a host has all its calls running, a process that makes calls goes from host to host, and passes its backlog by.
-- A URL that begins with a secret has that as its host: an empty name comes before every walk.
create index calls_by_host on postmill.calls (host, due_at, call_id) where started_at is null;
update postmill.calls set host = substring(url from '^[^/?#]*') where host = '';
