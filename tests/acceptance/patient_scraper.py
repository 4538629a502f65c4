"""The demo's worker with more time for a page: on a busy machine three seconds pass before it has a turn."""

from __future__ import annotations

from dataclasses import replace

from examples.scraper import worker
from postmill.handlers import Worker

PAGE_S = 10.0
"""One page hangs in each of its four attempts: a crawl takes more than four times this."""

fetch = Worker(replace(worker.fetch.options, timeout=PAGE_S), worker.fetch.function)
