"""A host in a process of its own, to be killed: ``python host_process.py FOLDER`` prints the process of a
daemon and that of the zygote, then waits.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from postmill.host.host import Host
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import Scene, children


async def main() -> None:
    """Until it is killed."""
    host = Host(Path(sys.argv[1]), RuntimeSettings(), {}, {}, None)
    await host.start()
    daemon = (await Scene(host).call("double_forks")).body.decode()
    (zygote,) = children()
    print(daemon, zygote, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
