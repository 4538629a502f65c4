-- What people and programs have done through the API and the dashboard.

-- One row an action, written in the action's own transaction: there is neither one without the other.
create table postmill.audit (
    audit_id bigint generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    viewer   text not null,                       -- the name that belongs to the key
    role     text not null,
    source   text not null,                       -- the address that the request came from; '' where it is not known
    login    text not null default session_user,  -- of the process that did it
    action   text not null,                       -- 'queue.pause'
    target   jsonb not null,                      -- on what, without payloads
    affected bigint                               -- how many messages, letters or runs; null where that says nothing
);
create index audit_at on postmill.audit (at);

-- One row a key to the API and the dashboard that was taken back before its end, by its id; or a name, of which every
-- key is taken back that was issued until then.
create table postmill.revoked_keys (
    subject text primary key,                     -- the id of a key, or a name
    at      timestamptz not null,
    login   text not null default session_user
);

-- One row a request that said by a key that it may be sent twice: the second time it has the first one's answer.
create table postmill.idempotency_keys (
    viewer  text not null,
    key     text not null,
    request text not null,                        -- a digest of all that was asked for
    answer  text,                                 -- JSON; null only within the action's transaction
    at      timestamptz not null default clock_timestamp(),
    primary key (viewer, key)
);
create index idempotency_keys_at on postmill.idempotency_keys (at);
