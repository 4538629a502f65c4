"""The JSON API: reads and actions of people and programs, one file a resource, one shape of error.

It knows no page and decides nothing about queues: every answer comes from ``postmill.db``.
"""
