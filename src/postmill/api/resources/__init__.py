"""The resources, one file each. Importing this declares them all."""

from postmill.api.resources import queues as queues
