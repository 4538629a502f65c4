"""What the demo reads out of pages: links by a real HTML parser, definitions by a real Python parser."""

from __future__ import annotations

import pytest

from examples.scraper import trouble
from examples.scraper.reading import Definition, UnreadableError, definitions, links

URL = "http://127.0.0.1:1/folder/"


def test_links_are_absolute_unique_sorted_and_stay_on_the_site() -> None:
    html = """<a href="b.py">b</a><a href=a.py>a</a><a href='b.py#top'>again</a><a href="../up/">up</a>
    <a href="http://elsewhere.example/">out</a><a name="anchor">no link</a><a href>empty</a>
    <!-- <a href="c.py"> -->"""
    assert links(URL, html) == ["http://127.0.0.1:1/folder/a.py", URL + "b.py", "http://127.0.0.1:1/up/"]


def test_definitions_are_found_at_every_depth_with_the_first_line_of_the_docstring() -> None:
    source = b'"""A module.\n\nMore."""\nclass Box:\n    """Holds."""\n'
    source += b"    async def open(self):\n        def inner(): pass\n"
    assert definitions(source) == [
        Definition("module", "", 1, "A module."),
        Definition("class", "Box", 4, "Holds."),
        Definition("function", "open", 6, ""),
        Definition("function", "inner", 7, ""),
    ]


def test_bytes_are_decoded_by_their_coding_line() -> None:
    found = definitions(trouble.PAGES["/trouble/latin-1.py"].body)
    assert found[1].summary == "Grüße, señor."


def test_text_that_postgres_cannot_hold_is_replaced() -> None:
    (module,) = definitions(trouble.PAGES["/trouble/nul.py"].body)
    assert "\0" not in module.summary
    assert module.summary.encode()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"def half(:\n", "syntax error in line 1"),
        ("name = 'é'\n".encode("latin-1"), "syntax error"),
        ("name = 1\n".encode("utf-16"), "null bytes|syntax error"),
        (b"# coding: no-such-coding\n", "syntax error"),
        (b"x = 1\0\n", "null bytes"),
    ],
)
def test_what_is_no_python_says_why(source: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        definitions(source)
