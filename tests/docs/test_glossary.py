"""The glossary has an entry for each state of a message and each table of ours, one sentence an entry."""

from __future__ import annotations

import re
from pathlib import Path

from postmill.sql.catalog import scripts

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^\| (?!term )`?([^|`]+?)`? \| (.+) \|$", PAGE, re.MULTILINE))
CREATED = re.compile(r"create (?:unlogged )?table (?:if not exists )?postmill\.(\w+)")
RENAMED = re.compile(r"^alter table postmill\.(\w+) rename to (\w+);", re.MULTILINE)


def states() -> list[str]:
    """Those that ``postmill.messages`` accepts."""
    text = dict(scripts("functions"))["_check_state"]
    found = re.search(r"array\[(.+?)\]", text)
    assert found is not None
    return re.findall(r"'(\w+)'", found[1])


def tables() -> set[str]:
    texts = [text for _, text in scripts("migrations")]
    renamed = dict(pair for text in texts for pair in RENAMED.findall(text))
    return {renamed.get(name, name) for text in texts for name in CREATED.findall(text)}


def test_every_state_of_a_message_has_an_entry() -> None:
    known = states()
    assert "ready" in known
    assert [state for state in known if state not in ENTRIES] == []


def test_every_table_has_an_entry_and_no_other_has() -> None:
    told = {name.removeprefix("postmill.") for name in ENTRIES if name.startswith("postmill.")}
    assert tables() | {"migrations", "components"} == told


def test_every_entry_is_one_sentence() -> None:
    assert len(ENTRIES) > len(states()) + len(tables())
    assert [name for name, text in ENTRIES.items() if not text.endswith(".") or ". " in text] == []


def test_no_term_is_there_twice() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| term")]
    assert len(lines) == len(ENTRIES)
