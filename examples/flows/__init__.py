"""Flows to run, read and change: each file is one, and ``python -m examples.flows.NAME`` runs it.

``site.py`` and ``images.py`` are graph flows; ``checkout.py``, ``agent.py`` and ``nightly.py`` are durable
functions. ``demo.py`` starts a worker for them, and shows a run's steps.
"""
