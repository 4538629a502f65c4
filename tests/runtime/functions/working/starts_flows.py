"""A handler that has imported a flow, to start it: it serves HTTP, and no flow."""

import sys

from .site_flow import Site, greet, site


async def handler() -> dict[str, object]:
    """Starts one run of each."""
    run = await site.start(Site("other"))
    other = await greet.start("ann")
    return {"runs": [run.run_id, other.run_id]}


assert "postmill.flows" in sys.modules
