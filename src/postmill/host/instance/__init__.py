"""One running isolate: its start, its exchanges, its end."""
