"""What every background service uses: its one shape, the emitter of events, and how to wait out an outage.

Knows the event loop and the logging package. Must not know a database driver, a queue or a function.
"""
