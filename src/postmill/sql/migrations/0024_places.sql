-- A place in a group is written down only in queues where something counts places (_counts_places).

-- Claims of messages that passed their gates while nothing counted them. Once something does, the next claim gives them
-- places (_give_places). In other queues no claim is one of these, so the index is small.
alter table postmill.claims add column without_places boolean not null default false;
create index claims_without_places on postmill.claims (queue_name) where without_places;

-- Each claim of a queue with groups asks whether one of them has a limit of its own.
create index groups_limited on postmill.groups (queue_name) where max_running is not null;
