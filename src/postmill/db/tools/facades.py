"""The facades: names that people know from other systems, made of views and functions over Postmill's own.

Here is what each consists of, and what it means that its name is taken. Nothing here talks to a server: the
migrator installs and removes facades. What a facade makes carries a mark, the beginning of its comment:
``Facade NAME of Postmill: …``. By the mark it is known as ours, and everything that has the mark is removed
with the facade. A name that is taken by anything else is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption, Refused
from postmill.model.option_rules import did_you_mean
from postmill.sql.catalog import scripts

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Facade:
    """One facade: the folder ``compat/NAME`` beside the other SQL. Its files can be run again at any time."""

    name: str
    stands_for: str
    """The system whose names it has."""
    order: str
    """Its files as they run: what another file needs comes first."""
    places: tuple[str, ...]
    """What must be free, or ours already: ``schema NAME``, ``function SCHEMA.NAME(TYPES)``, ``table …``."""
    by_itself: bool = False
    """Whether each migration installs it where its places are free; else it is asked for by name."""
    before_removal: str | None = None
    """The statement that runs first when it is removed: it may keep things back, or refuse."""

    @property
    def component(self) -> str:
        """The name under which the migrator writes it down."""
        return f"compat/{self.name}"

    @property
    def text(self) -> str:
        """Its whole SQL."""
        texts = dict(scripts(self.component))
        return "\n".join(texts[file] for file in self.order.split())


@dataclass(frozen=True, slots=True)
class Occupant:
    """What stands in one of the places that facades need."""

    place: str
    owner: str
    extension: str | None
    is_ours: bool

    @property
    def told(self) -> str:
        """What it is, as a sentence."""
        maker = (
            f"the extension {self.extension}"
            if self.extension
            else f"somebody else; its owner is {self.owner}"
        )
        return f"The {self.place} is there already, made by {maker}."


FACADES = (
    Facade(
        "edge_worker",
        stands_for="Edge Worker",
        order="schema workers active_workers inactive_workers",
        places=("schema edge_worker",),
        by_itself=True,
    ),
    Facade(
        "cron",
        stands_for="pg_cron",
        order="""schema own_job removed_job _remove_job job job_run_details _delete_run
                 _check _check_place _put schedule schedule_by_name schedule_in_database
                 alter_job unschedule unschedule_by_name""",
        places=("schema cron",),
        by_itself=True,
    ),
    Facade(
        "net",
        stands_for="pg_net",
        order="""schema types http_request_queue _http_response
                 http_get http_post http_delete _http_collect_response""",
        places=("schema net",),
        by_itself=True,
    ),
    Facade(
        "pgmq_public",
        stands_for="Supabase Queues",
        order="schema _check send send_batch read pop archive delete",
        places=("schema pgmq_public",),
    ),
    Facade(
        "vault",
        stands_for="Supabase Vault",
        order="schema decrypted_secrets secrets _refuse create_secret update_secret _refuse_write",
        places=("schema vault",),
    ),
    Facade(
        "supaqueue",
        stands_for="Supaqueue",
        order="""schema job_status _no_workers _held_until _queue_id _job_id _worker_id _queue_of
                 _number_of listed_job worker_numbers _call_queue queue _state_outside _known_job
                 _payload job _numbers worker _first_message current_job job_dependencies _queue_of_id
                 _job_of_id _refuse_given _refuse_change _add_queue _change_queue _remove_queue
                 _set_workers _add_worker _remove_worker _tidy_jobs _add_job _lock_waiting _set_due
                 _change_job _remove_job _waits_for _block _add_dependency _remove_dependency
                 _leave_claim _succeed _fail _end_current_job end_current_job process_jobs list_jobs""",
        places=("schema supaqueue", "function public.end_current_job(uuid, boolean, boolean)"),
    ),
    Facade(
        "supaworker",
        stands_for="Supaworker",
        order="""schema first_ids _give_id _tell first_jobs first_wake first_logs first_dequeue
                 jobs _touch touch wake logs dequeue increment_attempts bridge _log""",
        places=("schema supaworker",),
        before_removal="supaworker_before_removal",
    ),
)
"""All there are, in the order in which they are installed."""

PLACES = [place for facade in FACADES for place in facade.places]
"""All that a database is asked about."""


def named(name: str) -> Facade:
    """The facade that is installed when it is asked for. Raises :class:`InvalidOption` for another name."""
    optional = {facade.name: facade for facade in FACADES if not facade.by_itself}
    if name in optional:
        return optional[name]
    if any(name == facade.name for facade in FACADES):
        raise InvalidOption(
            f"The facade {name} is no matter of choice.",
            why="Each postmill migrate installs it where its name is free.",
        )
    raise InvalidOption(
        f"There is no facade {name!r}.",
        why=f"It is one of {', '.join(optional)}.",
        hint=did_you_mean(name, optional),
    )


def in_the_way(facade: Facade, occupants: Iterable[Occupant]) -> str:
    """What stands in its places and is not ours, in sentences; empty when nothing does."""
    taken = (each for each in occupants if each.place in facade.places and not each.is_ours)
    return " ".join(each.told for each in taken)


def is_gone(facade: Facade, occupants: Iterable[Occupant]) -> bool:
    """Whether a place of it is empty: it was never installed, or it was dropped."""
    return not {each.place for each in occupants}.issuperset(facade.places)


def taken(facade: Facade, why: str) -> Refused:
    """The error for a facade whose name is taken."""
    return Refused(
        f"The facade {facade.name} can't be installed here; nothing was changed.",
        why=f"{why} Postmill does not touch what it has not made.",
        hint=f"Use what is there, if it is {facade.stands_for} itself; else give it another name first.",
    )


def in_use(facade: Facade, why: str) -> Refused:
    """The error for a facade that can't be removed, since something of the user's needs it."""
    return Refused(
        f"The facade {facade.name} is in use; nothing was changed.",
        why=f"{why}.",
        hint="Drop that, or move it away, and remove the facade then.",
    )
