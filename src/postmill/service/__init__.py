"""What every background service is made of: its one shape, the emitter of events, and how it weathers an
outage.

Knows the event loop and the logging package. Must not know a database driver, a queue or a function.
"""
