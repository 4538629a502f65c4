"""The child side of functions: loads one in a process of its own, serves it, reports and obeys.

Imports nothing of the parent side.
"""
