"""Flows with steps that run on a cluster: importable there by name."""

from __future__ import annotations

import os
from dataclasses import dataclass

from postmill import Ctx, Flow, RemoteContext, Retry, step, workflow
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


@step(executor="ray", resources=NO_CPU)
def count_in_run(text: str, *, twice: bool = False, task: RemoteContext | None = None) -> Words:
    """Runs on the cluster, called by position and by name."""
    assert task is not None
    return Words(text, len(text.split()) * (1 + twice), task.attempt)


@workflow
async def counted(ctx: Ctx, text: str) -> Words:
    """A durable function with a step on the cluster, and one in the worker."""
    cleaned_text = await ctx.step(str.strip, text)
    found: Words = await ctx.named("count").step(count_in_run, cleaned_text, twice=True)
    assert isinstance(found, Words)
    return found


@step(executor="ray", resources=NO_CPU, timeout=2, cancel_grace=60, retry=Retry.none)
def obey(job: Job, task: RemoteContext | None = None) -> object:
    """Has two seconds to do what it is told."""
    assert task is not None
    return perform(job, task)


@step(executor="ray", resources=NO_CPU, cancel_grace=60, retry=Retry.fixed(0, 2))
def obey_at_leisure(job: Job, task: RemoteContext | None = None) -> object:
    """Does what it is told, and is tried twice."""
    assert task is not None
    return perform(job, task)


@workflow(grace=0)
async def obeying(ctx: Ctx, job: Job, *, in_time: bool = False) -> object:
    """A durable function of one step, on the cluster."""
    return await ctx.named("obey").step(obey if in_time else obey_at_leisure, job)
