"""``[runtime]`` and ``[functions.<slug>]``: what comes from where, and what is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.errors import InvalidFunction, InvalidOption
from postmill.model.functions.limits import PROFILES, Limits
from postmill.model.functions.slug import validated
from postmill.model.functions.tables import defaults, function_settings, runtime_settings

if TYPE_CHECKING:
    from postmill.model.functions.settings import FunctionSettings


def function(table: dict[str, Any], runtime: dict[str, Any] | None = None) -> FunctionSettings:
    """The settings of one function."""
    return function_settings({"hello": table}, runtime_settings(runtime or {}))["hello"]


def test_a_function_takes_from_the_runtime_what_it_does_not_say() -> None:
    runtime = {"policy": "per_request", "limits": {"memory_mb": 128, "requests": 9}}
    settings = function({"limits": {"requests": 0}, "env": {"DEBUG": True, "LEVEL": 3}}, runtime)
    assert settings.policy == "per_request"
    assert settings.limits == Limits(memory_mb=128, requests=0)
    assert settings.env == {"DEBUG": "true", "LEVEL": "3"}
    assert settings.at_a_time == 1
    assert defaults("other", runtime_settings(runtime)).limits.requests == 9


def test_a_profile_is_a_base_for_limits() -> None:
    runtime = runtime_settings({"profile": "supabase", "limits": {"memory_mb": 300}})
    assert runtime.limits.cpu_hard_s == PROFILES["supabase"].cpu_hard_s
    assert runtime.limits.memory_mb == 300


def test_the_environment_is_in_no_repr() -> None:
    assert "hidden" not in repr(function({"env": {"KEY": "hidden"}}))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"instnces": 2}, "Did you mean instances?"),
        ({"limits": {"memory": 1}}, "Did you mean memory_mb?"),
        ({"instances": "two"}, "must be a whole number"),
        ({"instances": True}, "must be a whole number"),
        ({"instances": 0}, "out of range"),
        ({"policy": "per_hour"}, "per_worker"),
        ({"env": {"NOT-A-NAME": "x"}}, "can't be a variable"),
        ({"env": {"NUL": "a\0b"}}, "can't be a variable"),
        ("text", "must be a table"),
    ],
)
def test_a_wrong_table_is_refused(table: Any, said: str) -> None:
    with pytest.raises(InvalidOption, match=said.replace("?", r"\?")):
        function(table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"profile": "fast"}, "default, supabase"),
        ({"preload": ["fastapi", 3]}, "list of strings"),
        ({"max_body_mb": 0}, "above 0"),
        ({"boot_timeout_s": -1}, "out of range"),
        ({"prot": 1}, "Did you mean port"),
    ],
)
def test_a_wrong_runtime_is_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        runtime_settings(table)


@pytest.mark.parametrize("slug", ["a", "Hello", "send-mail_2", "x" * 100])
def test_a_slug(slug: str) -> None:
    assert validated(slug) == slug


@pytest.mark.parametrize("slug", ["", "2fast", "_shared", "a.b", "a/b", "ä", "a\n", "x" * 101, None])
def test_no_slug(slug: object) -> None:
    with pytest.raises(InvalidFunction):
        validated(slug)
