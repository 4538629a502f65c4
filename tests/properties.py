"""How tests of properties that work on a server are run: a failure is told as soon as it is found."""

from __future__ import annotations

from hypothesis import Phase, settings

FIRST_FAILURE = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    print_blob=True,
    deadline=None,
)
"""The first failing example is shown as it was found, with the line that repeats it.

Hypothesis looks for a shorter example for up to five minutes. That is longer than a test may take, and a test
that was stopped shows no example at all. The line runs this one example again, as a decorator of the test or
of the state machine. To let Hypothesis find a short one, leave out ``phases`` here and run the test with
``--timeout=0``.
"""
