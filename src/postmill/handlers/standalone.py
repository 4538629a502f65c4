"""Runs workers in this process with the project's settings: what ``EdgeWorker.start`` and ``postmill worker
run`` both do.
"""
