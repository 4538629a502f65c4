"""What monitoring reads of a worker process: counts, and a small HTTP probe.

It gets events and knows no engine. Prometheus is optional, and imported only where it is used.
"""
