"""The pages, one file each. Importing this declares them all."""

from postmill.dashboard.pages import audit as audit
from postmill.dashboard.pages import dead as dead
from postmill.dashboard.pages import letter as letter
from postmill.dashboard.pages import message as message
from postmill.dashboard.pages import messages as messages
from postmill.dashboard.pages import overview as overview
from postmill.dashboard.pages import queue as queue
