"""The dashboard: pages for people, over the resources of the API. It runs alone, and mounted in any ASGI
application.

A page knows no more than the API gives, works without JavaScript, and decides nothing: roles are checked by
the desk.
"""

from postmill.dashboard.application import application
from postmill.dashboard.several import several

__all__ = ["application", "several"]
