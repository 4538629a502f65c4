"""Connections to the database, and the work that Postmill itself does on them."""
