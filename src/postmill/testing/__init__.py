"""Helpers for users' own tests. Production code never imports it."""
