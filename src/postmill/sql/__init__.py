"""SQL as source: migrations, functions, views and the named statements the Python code binds. Data, not code."""
