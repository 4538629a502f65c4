"""What the API says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from postmill.api.document import document
from postmill.api.route import resource

if TYPE_CHECKING:
    from postmill.api.desk import Desk


@resource("GET", "/openapi.json", out=dict[str, Any])
async def show_description(_: Desk) -> msgspec.Raw:
    """This API in OpenAPI 3.1."""
    return msgspec.Raw(document())
