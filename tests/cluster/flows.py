"""Flows with steps that run on a cluster: importable there by name."""

from __future__ import annotations

import os
from dataclasses import dataclass

from postmill import Flow, RemoteContext, Retry
from tests.cluster.handlers import Job, perform

NO_CPU = {"num_cpus": 0}


@dataclass
class Words:
    """What a step gives."""

    of: str
    count: int
    pid: int


counting = Flow("counting", input=list[str], executor="ray", resources=NO_CPU)


@counting.step(executor="inline")
def cleaned(texts: list[str] = counting.input) -> list[str]:
    """Runs in the worker."""
    return [text.strip() for text in texts]


@counting.map
def count(task: RemoteContext, text: str = cleaned.each) -> Words:
    """Runs on the cluster, once for each text."""
    task.progress(1, text)
    return Words(text, len(text.split()), os.getpid())


@counting.step
async def total(found: list[Words] = count.out) -> dict[str, int]:
    """Runs on the cluster, and is given what the map gave."""
    assert all(isinstance(each, Words) for each in found)
    return {each.of: each.count for each in found}


performing = Flow("performing", input=Job, retry=Retry.none, grace=0, visibility_timeout=1)


@performing.step(executor="ray", resources=NO_CPU, cancel_grace=60)
def perform_it(task: RemoteContext, job: Job = performing.input) -> object:
    """Does what it is told."""
    return perform(job, task)


limited = Flow("limited", input=Job, retry=Retry.none)


@limited.step(executor="ray", resources=NO_CPU, cancel_grace=60, timeout=2)
def perform_in_time(task: RemoteContext, job: Job = limited.input) -> object:
    """Has two seconds to do it."""
    return perform(job, task)


roomless = Flow("roomless", input=Job)


@roomless.step(executor="ray", resources={"lasers": 1}, start_timeout=0.5)
def perform_nowhere(job: Job = roomless.input) -> None:
    """Needs what no machine has."""
