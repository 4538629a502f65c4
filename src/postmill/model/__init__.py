"""Values and rules: what a message, a lease, an outcome, a retry policy is. No I/O, no clock, no driver."""
