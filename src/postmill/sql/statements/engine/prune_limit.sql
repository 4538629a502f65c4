-- End a pruning that takes too long by the server's hand, before ours hangs up and is taken for dead.
-- Called by: engine pruner, in the transaction of prune.
set local statement_timeout = '800ms'
