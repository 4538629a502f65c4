"""How tests of properties run: on a busy machine too, and a failure on a server is told when it is found."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "busy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("busy")

FIRST_FAILURE = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    print_blob=True,
)
"""The first failing example is shown as it was found, with the line that repeats it.

Hypothesis looks for a shorter example for up to five minutes. That is longer than a test may take, and a test
that was stopped shows no example at all. The line runs this one example again, as a decorator of the test or
of the state machine. To let Hypothesis find a short one, leave out ``phases`` here and run the test with
``--timeout=0``.
"""
