-- A hint holds for one table of one database: its text is made by the part cursor_table of the statements. A table that was
-- dropped and created again, truncated, or restored under the same name has another text, and no hint.
alter table postmill.queues drop column cursor_relation;
alter table postmill.queues add column cursor_table text;
