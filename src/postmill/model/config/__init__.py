"""Settings and addresses."""
