"""Reads ``[runtime]`` and ``[functions.<slug>]`` of ``postmill.toml`` into settings. Pure: the file is read
elsewhere.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from postmill.model.config.project_file import check_table, wrong_type
from postmill.model.functions.limits import PROFILES, Limits
from postmill.model.functions.settings import FunctionSettings, RuntimeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = (int, float)

RUNTIME_KEYS: Mapping[str, Any] = {
    "host": str,
    "port": int,
    "folder": str,
    "policy": str,
    "profile": str,
    "preload": list,
    "boot_timeout_s": _NUMBER,
    "response_timeout_s": _NUMBER,
    "capacity_wait_s": _NUMBER,
    "grace_s": _NUMBER,
    "max_body_mb": _NUMBER,
    "jwks": str,
    "user": str,
    "limits": dict,
}
FUNCTION_KEYS: Mapping[str, Any] = {
    "enabled": bool,
    "verify_jwt": bool,
    "preflight": str,
    "entrypoint": str,
    "instances": int,
    "concurrency": int,
    "policy": str,
    "limits": dict,
    "user": str,
    "env": dict,
}
LIMIT_KEYS: Mapping[str, Any] = {
    "wall_clock_s": _NUMBER,
    "cpu_soft_s": _NUMBER,
    "cpu_hard_s": _NUMBER,
    "memory_mb": _NUMBER,
    "requests": int,
    "idle_s": _NUMBER,
    "blocked_s": _NUMBER,
}


def runtime_settings(table: Mapping[str, Any]) -> RuntimeSettings:
    """From ``[runtime]``. Raises :class:`InvalidOption` naming the key, with the nearest known one."""
    check_table("runtime", table, RUNTIME_KEYS)
    values = dict(table)
    profile = values.get("profile", "default")
    base = PROFILES.get(profile, PROFILES["default"])  # an unknown one is refused below, by name
    values["limits"] = _limits("runtime.limits", values.get("limits", {}), base)
    if "preload" in values:
        values["preload"] = _names(values["preload"])
    return RuntimeSettings(**values)


def function_settings(tables: Mapping[str, Any], runtime: RuntimeSettings) -> Mapping[str, FunctionSettings]:
    """From ``[functions]``: by slug. A setting that a function leaves out is taken from ``runtime``."""
    return {slug: _function(slug, table, runtime) for slug, table in tables.items()}


def defaults(slug: str, runtime: RuntimeSettings) -> FunctionSettings:
    """The settings of a function that has no table. Raises :class:`InvalidFunction` for a bad slug."""
    return FunctionSettings(slug=slug, policy=runtime.policy, limits=runtime.limits, user=runtime.user)


def _function(slug: str, table: object, runtime: RuntimeSettings) -> FunctionSettings:
    name = f"functions.{slug}"
    if not isinstance(table, dict):
        raise wrong_type(name, dict)
    check_table(name, table, FUNCTION_KEYS)
    values = {"policy": runtime.policy, "user": runtime.user, **table, "slug": slug}
    values["limits"] = _limits(f"{name}.limits", table.get("limits", {}), runtime.limits)
    values["env"] = {key: _as_variable(value) for key, value in table.get("env", {}).items()}
    return FunctionSettings(**values)


def _limits(name: str, table: Mapping[str, Any], base: Limits) -> Limits:
    check_table(name, table, LIMIT_KEYS)
    return Limits(**{**asdict(base), **table})


def _names(value: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(item, str) for item in value):
        raise wrong_type("runtime.preload", list)
    return tuple(value)


def _as_variable(value: object) -> str:
    """TOML's own true and 5 as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
