"""The resources, one file each. Importing this declares them all."""

from postmill.api.resources import audit as audit
from postmill.api.resources import calls as calls
from postmill.api.resources import databases as databases
from postmill.api.resources import dead_letters as dead_letters
from postmill.api.resources import description as description
from postmill.api.resources import errors as errors
from postmill.api.resources import flows as flows
from postmill.api.resources import functions as functions
from postmill.api.resources import history as history
from postmill.api.resources import limits as limits
from postmill.api.resources import messages as messages
from postmill.api.resources import operations as operations
from postmill.api.resources import overview as overview
from postmill.api.resources import progress as progress
from postmill.api.resources import queues as queues
from postmill.api.resources import runs as runs
from postmill.api.resources import schedules as schedules
from postmill.api.resources import search as search
from postmill.api.resources import settings as settings
from postmill.api.resources import steering as steering
from postmill.api.resources import workers as workers
