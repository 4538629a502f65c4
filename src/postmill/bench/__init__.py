"""`postmill bench`: what this database and this machine can do, beside the raw limit."""
