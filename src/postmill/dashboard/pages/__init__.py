"""The pages, one file each. Importing this declares them all."""

from postmill.dashboard.pages import overview as overview
from postmill.dashboard.pages import queue as queue
