"""A private Postgres: find binaries, initialise, start, attach, stop. Knows no other part."""
