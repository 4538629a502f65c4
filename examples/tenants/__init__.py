"""Two tenants on one queue: a noisy one that sends hundreds at once, a quiet one that sends one a second.

Start with ``worker.py``, then ``tenants.py``: where messages get their group, and groups their limit. The
rest shows what happens.
"""
