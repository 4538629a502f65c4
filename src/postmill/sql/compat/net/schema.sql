-- The names that people with pg_net use; applied only where no schema net is here already. Calls are made by Postmill's
-- processes; see postmill.call. Unlike pg_net, redirects are not followed, requests outlive a crash of the server, and
-- nothing is open to PUBLIC: what to grant stands in docs/coming-from/pg-net.md. A role sees its own requests and
-- responses, and those of roles that it is a member of.
create schema if not exists net;
comment on schema net is 'Facade net of Postmill: the names people know from pg_net.';
