-- Messages whose source was discarded or purged say so: such an end has a word of its own.
alter table postmill.ended drop constraint ended_fate_check;
alter table postmill.ended add constraint ended_fate_check
    check (fate in ('completed', 'dead', 'cancelled', 'unknown', 'deleted'));

-- It returns of each id whether anything waited for it now.
drop function if exists postmill.release(text, bigint[], text);
