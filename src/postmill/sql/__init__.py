"""SQL as source: migrations, functions, views and the named statements Python binds. Data, not code."""
