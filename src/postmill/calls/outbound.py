"""What the calls of one process are made with: its two HTTP clients, its secrets, and where its functions are
served. It decides neither what is called nor what an answer means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.calls.client import CallClient
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call import Answer, MissingSecret, hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from postmill.calls.project_secrets import ProjectSecrets
    from postmill.model.calls.call import Call
    from postmill.model.calls.call_queue import FunctionHost


class Outbound:
    """The way out of one process."""

    def __init__(self, guard: AddressGuard, host: FunctionHost | None, secrets: ProjectSecrets) -> None:
        """``guard`` watches over what people name. ``host``: where the project's functions are served; None:
        calls of functions are left to other processes.
        """
        self.host = host
        self.secrets = secrets
        self._to_urls, self._to_functions = CallClient(guard), CallClient(AddressGuard(is_open=True))

    async def made(
        self,
        granted: Collection[str],
        role: str,
        call_of: Callable[[Mapping[str, str]], Call],
        *,
        to_function: bool,
    ) -> Answer:
        """The answer to the call that ``call_of`` builds from the values of the secrets ``granted`` to
        ``role``. No error in it tells one of them. Raises what ``call_of`` raises, but for a secret that the
        role may not have.
        """
        values = await self.secrets.values(granted)
        try:
            call = call_of(values)
        except MissingSecret as missing:
            return Answer(error=missing.why(granted, role), is_refused=True)
        answer = await (self._to_functions if to_function else self._to_urls).call(call)
        return answer.with_error(hidden(answer.error, values)) if answer.error and values else answer

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._to_urls, self._to_functions):
            await client.close()
