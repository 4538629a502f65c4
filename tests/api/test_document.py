"""The document says what the API does: requests made from it, good and bad, are answered as it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from hypothesis import core, strategies
from hypothesis.vendor import pretty
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.generation.hypothesis import setup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from postmill.api.application import application
from postmill.api.document import document
from postmill.api.route import RESOURCES
from tests.api.conftest import authorize

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.api.desk import House

    Db = psycopg.Connection[dict[str, Any]]

AS_OPERATOR = {"authorization": "Bearer operator"}
KNOWN = {
    "queue": "mail",
    "msg_id": "1",
    "letter_id": "1",
    "schedule": "nightly",
    "run_id": "1",
    "call_id": "1",
}
"""Names of what the scene has; half of the requests are about them, since no invented name would be found."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SMALLEST = {
    "openapi": "3.1.0",
    "info": {"title": "one operation", "version": "1"},
    "paths": {"/": {"get": {"responses": {"200": {"description": "answered"}}}}},
}
SCENE = """
    select postmill.create_queue('mail');
    select postmill.send('mail', '{"password": "x", "n": 1}', headers => '{"a": 1}');
    select postmill.schedule('nightly', '30 2 * * *', 'mail', '{}');
    select postmill.call('http://127.0.0.1:1/');
    insert into postmill.dead_letters
        (queue_name, msg_id, read_ct, attempts, enqueued_at, message, headers, kind, reason)
    select 'mail', 90 + n, 3, 3, now(), '{}', '{}', 'exhausted', 'no' from generate_series(1, 9) as n;
    insert into postmill.failures (queue_name, msg_id, attempt, kind, error_message)
    values ('mail', 1, 1, 'error', 'no')
"""


setup()
REPORTS: Any = core  # its printer has no public name
SILENT = REPORTS.RepresentationPrinter
REPORTS.RepresentationPrinter = pretty.RepresentationPrinter
"""Schemathesis takes the values out of what Hypothesis shows, in the whole process, to save time: it has
its printer in the tests of this file, and all others have that of Hypothesis. It is put in once a process.
"""


@pytest.fixture
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are not written down one by one."""
    monkeypatch.setattr(REPORTS, "RepresentationPrinter", SILENT)


def test_what_hypothesis_shows_of_other_properties_keeps_its_values() -> None:
    assert SILENT is not pretty.RepresentationPrinter
    for operation in schemathesis.openapi.from_dict(SMALLEST).get_all_operations():
        operation.ok().as_strategy()  # type: ignore[union-attr]
    assert REPORTS.RepresentationPrinter is pretty.RepresentationPrinter


def test_each_schema_has_a_name_of_its_own() -> None:
    """Two of one name are told apart by their modules, and generators of clients leave both out."""
    names = list(json.loads(document())["components"]["schemas"])
    assert "Problem" in names
    assert [name for name in names if not name.isidentifier()] == []


def operations(house: House) -> Iterator[Any]:
    """Each operation of the document, answered by the application in this process."""
    app = application(house, authorize)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=AS_OPERATOR)
    for found in schema.get_all_operations():
        yield found.ok()  # type: ignore[union-attr]


def ask(operation: Any, mode: GenerationMode, examples: int) -> None:
    """So many requests of this kind. Always the same ones: a fault that is found can be found again."""

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode), strategies.booleans())
    def is_answered(case: Any, about_known: bool) -> None:
        if about_known and case.path_parameters:
            for name in case.path_parameters:
                case.path_parameters[name] = KNOWN.get(name, case.path_parameters[name])
        response = case.call(headers=AS_OPERATOR)
        # A parameter without a value is not in the address, and a header that is left out is added here:
        # what was meant to be wrong is wrong for certain in a body only.
        checks = CHECKS if case.body and not about_known else CHECKS[:4]
        case.validate_response(response, checks=checks)

    is_answered()


@pytest.fixture
def scene(db: Db, unprinted: None) -> None:
    """Something to ask about."""
    for statement in SCENE.split(";\n"):
        db.execute(statement.encode())


def test_requests_made_from_the_document_are_answered_as_it_says(house: House, scene: None) -> None:
    asked = list(operations(house))
    for operation in asked:
        ask(operation, GenerationMode.POSITIVE, 4)
    assert len(asked) == len(RESOURCES)


def test_requests_that_break_the_document_are_refused(house: House, scene: None) -> None:
    for operation in operations(house):
        ask(operation, GenerationMode.NEGATIVE, 3)


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_many_requests_are_answered_as_the_document_says(
    house: House, scene: None, mode: GenerationMode
) -> None:
    for operation in operations(house):
        ask(operation, mode, 20)
