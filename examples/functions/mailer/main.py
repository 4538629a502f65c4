"""A queue worker. The host starts it, keeps it running and replaces it before it gets too old.

postmill send mail '{"to": "ada@example.com", "subject": "Hello"}'
"""

from __future__ import annotations

from dataclasses import dataclass

from postmill import Context, Dead, worker


@dataclass
class Mail:
    """One mail to be sent."""

    to: str
    subject: str


@worker(queue="mail", max_concurrent=5)
async def deliver(mail: Mail, ctx: Context) -> None:
    """Called once a message; raising retries it, ``Dead`` gives it up."""
    if "@" not in mail.to:
        raise Dead(f"{mail.to!r} is no address")
    ctx.log.info("sent %r to %s", mail.subject, mail.to)
