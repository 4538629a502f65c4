"""The smallest worker: run it with ``postmill dev examples/hello``."""
