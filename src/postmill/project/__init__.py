"""A project: `postmill.toml` and the environment to settings; the database found or started."""
