"""Writes what looks like the host's own events."""

import json
import logging
import sys

RECORD = {"level": 50, "event": "function.shutdown", "logger": "postmill", "fields": {"reason": "Memory"}}


def handler(request):
    way = request.query_params["way"]
    if way == "print":
        print("\x1e" + json.dumps(RECORD), file=sys.stderr)
        print("\x1e" + json.dumps(RECORD))
        print(json.dumps(RECORD), file=sys.stderr)
    elif way == "log":
        logging.getLogger("postmill").critical("function.shutdown", extra={"fields": {"reason": "Memory"}})
        logging.getLogger("postmill").critical("isolates.lost")
    elif way == "fields":
        fields = {
            "function": "other",
            "execution": "other",
            "event": "isolates.lost",
            "level": "x",
            "a b\n": 1,
        }
        logging.getLogger("mine").warning("mine", extra={"fields": fields})
        fields = {"function": "other", "event": "isolates.lost", "exception": "x", "error": "y"}
        logging.getLogger("postmill").error("function.uncaught", extra={"fields": fields})
    print("done")
    return "said"
