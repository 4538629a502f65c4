"""Defaults that an administrator may have given to a database or a role, with people's sessions in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMS = {
    "search_path": "nowhere",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "row_security": "off",
    "client_min_messages": "debug5",
    "plan_cache_mode": "force_custom_plan",
    "jit_above_cost": "0",
    "client_encoding": "LATIN1",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
    "plpgsql.variable_conflict": "use_column",
    "plpgsql.extra_errors": "all",
}
"""How statements are read, planned and answered."""


def alterations(database: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The statements that make ``settings`` the defaults of every session of ``database`` from now on."""
    for name, value in settings.items():
        yield f"alter database {database} set {name} = '{value}'"
