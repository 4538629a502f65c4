-- Leaves nothing that would run at the commit, when the command's user is no longer the one as whom it runs: cursors
-- that are held, and whatever a deferred trigger may still write. Called by: scheduler, before it commits a command's
-- function. Takes no locks. Errors: none.
close all;
set transaction read only
