"""What the outside sees of a worker process: counts, spans, and a small HTTP probe.

Fed by events, knows no engine. Prometheus and OpenTelemetry are optional, and imported only where they are
used.
"""
