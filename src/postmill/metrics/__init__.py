"""What the outside sees of a worker process: counts, and a small HTTP probe.

Fed by events, knows no engine. Prometheus is optional, and imported only where it is used.
"""
