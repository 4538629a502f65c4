"""Can't even be imported."""

raise LookupError("a secret detail")
