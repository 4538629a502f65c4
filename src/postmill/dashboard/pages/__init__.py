"""The pages, one file each. Importing this declares them all."""

from postmill.dashboard.pages import audit as audit
from postmill.dashboard.pages import call as call
from postmill.dashboard.pages import calls as calls
from postmill.dashboard.pages import dead as dead
from postmill.dashboard.pages import error as error
from postmill.dashboard.pages import errors as errors
from postmill.dashboard.pages import flow as flow
from postmill.dashboard.pages import flows as flows
from postmill.dashboard.pages import function as function
from postmill.dashboard.pages import functions as functions
from postmill.dashboard.pages import letter as letter
from postmill.dashboard.pages import many as many
from postmill.dashboard.pages import message as message
from postmill.dashboard.pages import messages as messages
from postmill.dashboard.pages import operation as operation
from postmill.dashboard.pages import operations as operations
from postmill.dashboard.pages import overview as overview
from postmill.dashboard.pages import queue as queue
from postmill.dashboard.pages import run as run
from postmill.dashboard.pages import runs as runs
from postmill.dashboard.pages import schedule as schedule
from postmill.dashboard.pages import schedules as schedules
from postmill.dashboard.pages import settings as settings
from postmill.dashboard.pages import workers as workers
