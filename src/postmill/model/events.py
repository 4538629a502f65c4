"""Everything that a worker reports, by name. The same names stand in logs, metrics and docs
(``docs/reference/events.md``).
"""

from __future__ import annotations

import logging
from enum import StrEnum


class Event(StrEnum):
    """What happened, in the past tense."""

    WORKER_STARTED = "worker.started"
    WORKER_DRAINING = "worker.draining"
    WORKER_STOPPED = "worker.stopped"
    WORKER_DEPRECATED = "worker.deprecated"
    WORKERS_REPLACED = "workers.replaced"
    WORKER_POLLING = "worker.polling"
    WORKER_BLOCKED = "worker.blocked"
    WORKER_FAILED = "worker.failed"
    SERVICE_FAILED = "service.failed"
    DATABASE_LOST = "database.lost"
    DATABASE_BACK = "database.back"
    CLUSTER_LOST = "cluster.lost"
    CLUSTER_BACK = "cluster.back"
    CLUSTER_LACKS = "cluster.lacks"
    QUEUE_CREATED = "queue.created"
    QUEUE_PAUSED = "queue.paused"
    QUEUE_RESUMED = "queue.resumed"
    QUEUE_MISSING = "queue.missing"
    SCHEMA_MISSING = "schema.missing"
    QUEUE_REFUSING = "queue.refusing"
    QUEUE_ACCEPTING = "queue.accepting"
    MESSAGE_CLAIMED = "message.claimed"
    MESSAGE_COMPLETED = "message.completed"
    MESSAGE_RETRYING = "message.retrying"
    MESSAGE_SNOOZED = "message.snoozed"
    MESSAGE_DEAD = "message.dead"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_RELEASED = "message.released"
    MESSAGE_PARKED = "message.parked"
    STEP_FAILED = "step.failed"
    STEP_DROPPED = "step.dropped"
    STEP_HELD = "step.held"
    RUN_FAILED = "run.failed"
    RUN_PARKED = "run.parked"
    SIGNAL_REFUSED = "signal.refused"
    FLOW_FAILED = "flow.failed"
    MESSAGE_OVERLOOKED = "message.overlooked"
    MESSAGE_LOCKED = "message.locked"
    CLAIM_REFUSED = "claim.refused"
    LEASE_LOST = "lease.lost"
    SETTLEMENT_REFUSED = "settlement.refused"
    RESULT_NOT_KEPT = "result.not_kept"
    CLAIMS_RESCUED = "claims.rescued"
    HISTORY_PRUNED = "history.pruned"
    HOOK_FAILED = "hook.failed"
    PROBE_LISTENING = "probe.listening"
    SCHEDULE_DECLARED = "schedule.declared"
    SCHEDULE_FIRED = "schedule.fired"
    SCHEDULE_SKIPPED = "schedule.skipped"
    SCHEDULE_MISSED = "schedule.missed"
    SCHEDULE_FAILED = "schedule.failed"
    COMMAND_COMPLETED = "command.completed"
    COMMAND_FAILED = "command.failed"
    OPERATION_ENDED = "operation.ended"
    OPERATION_FAILED = "operation.failed"
    CALL_FAILED = "call.failed"
    CALLS_REFUSED = "calls.refused"
    CALLS_OFF = "calls.off"
    CALLS_STARTED = "calls.started"
    CALL_QUEUES_CHANGED = "call_queues.changed"
    PROGRESS = "message.progress"
    FUNCTION_BOOTED = "function.booted"
    FUNCTION_BOOT_FAILED = "function.boot_failed"
    FUNCTION_BROKEN = "function.broken"
    FUNCTION_UNCAUGHT = "function.uncaught"
    FUNCTION_RETIRED = "function.retired"
    FUNCTION_WARNED = "function.warned"
    FUNCTION_SHUTDOWN = "function.shutdown"
    FUNCTION_CHANGED = "function.changed"
    FUNCTION_LOG = "function.log"
    FUNCTION_LOG_DROPPED = "function.log_dropped"
    FUNCTION_BLOCKED = "function.blocked"
    ISOLATES_LOST = "isolates.lost"
    HOST_FAILED = "host.failed"
    SETTINGS_REFUSED = "settings.refused"
    RESTART_NEEDED = "settings.restart_needed"
    REQUEST_FAILED = "request.failed"
    REQUEST_SERVED = "request.served"
    KEYS_STALE = "keys.stale"
    VARIABLES_SKIPPED = "variables.skipped"
    ACTION_FORBIDDEN = "action.forbidden"


_DEBUG = {
    Event.MESSAGE_CLAIMED,
    Event.MESSAGE_RELEASED,
    Event.MESSAGE_PARKED,
    Event.RUN_PARKED,
    Event.HISTORY_PRUNED,
}
_WARNING = {
    Event.DATABASE_LOST,
    Event.CLUSTER_LOST,
    Event.CLUSTER_LACKS,
    Event.QUEUE_MISSING,
    Event.SCHEMA_MISSING,
    Event.MESSAGE_RETRYING,
    Event.MESSAGE_OVERLOOKED,
    Event.STEP_HELD,
    Event.SIGNAL_REFUSED,
    Event.MESSAGE_LOCKED,
    Event.LEASE_LOST,
    Event.CLAIMS_RESCUED,
    Event.WORKER_DEPRECATED,
    Event.FUNCTION_WARNED,
    Event.SCHEDULE_SKIPPED,
    Event.SCHEDULE_MISSED,
    Event.CALL_FAILED,
    Event.KEYS_STALE,
    Event.VARIABLES_SKIPPED,
    Event.FUNCTION_LOG_DROPPED,
    Event.RESTART_NEEDED,
    Event.ACTION_FORBIDDEN,
}
_ERROR = {
    Event.MESSAGE_DEAD,
    Event.STEP_FAILED,
    Event.RUN_FAILED,
    Event.FLOW_FAILED,
    Event.QUEUE_REFUSING,
    Event.CLAIM_REFUSED,
    Event.SETTLEMENT_REFUSED,
    Event.RESULT_NOT_KEPT,
    Event.HOOK_FAILED,
    Event.SCHEDULE_FAILED,
    Event.COMMAND_FAILED,
    Event.OPERATION_FAILED,
    Event.CALLS_REFUSED,
    Event.WORKER_BLOCKED,
    Event.WORKER_FAILED,
    Event.SERVICE_FAILED,
    Event.FUNCTION_BOOT_FAILED,
    Event.FUNCTION_BROKEN,
    Event.FUNCTION_UNCAUGHT,
    Event.FUNCTION_BLOCKED,
    Event.ISOLATES_LOST,
    Event.HOST_FAILED,
    Event.SETTINGS_REFUSED,
    Event.REQUEST_FAILED,
}


def _level(event: Event) -> int:
    if event in _DEBUG:
        return logging.DEBUG
    if event in _WARNING:
        return logging.WARNING
    return logging.ERROR if event in _ERROR else logging.INFO


LEVELS = {event: _level(event) for event in Event}
