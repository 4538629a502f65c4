"""Documents that resemble each other, found on a Ray cluster: ``python -m examples.cluster FOLDER``."""
