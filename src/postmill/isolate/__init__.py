"""The child side of functions: loads a function in a process of its own, serves it, reports to the host and
follows its orders.

Imports nothing of the parent side.
"""
