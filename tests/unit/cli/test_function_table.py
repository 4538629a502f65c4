"""The tables of a deleted function leave ``postmill.toml``, and nothing else does."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.cli.function_table import remove

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import TempPathFactory  # noqa: PT013

TOML = """\
# ours
[db]
url = "postgresql://h/db"  # the big one

[functions.hello] # gone
verify_jwt = false
[functions.hello.env]
GREETING = "hello"
# about the next one
[functions."hello-2"]
verify_jwt = true
"""


def removed(path: Path, text: str, function: str) -> tuple[bool, str]:
    path.write_bytes(text.encode())
    return remove(path, function), path.read_bytes().decode()


def test_its_tables_go_and_every_other_line_stays(tmp_path: Path) -> None:
    done, text = removed(tmp_path / "a.toml", TOML.replace("\n", "\r\n"), "hello")
    assert done
    assert text.split("\r\n") == [
        "# ours",
        "[db]",
        'url = "postgresql://h/db"  # the big one',
        "",
        '[functions."hello-2"]',
        "verify_jwt = true",
        "",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[functions]\nhello = {verify_jwt = false}\n",
        "functions.hello.verify_jwt = false\n",
        '[log]\nnote = """\n[functions.hello]\n"""\n[functions]\nhello.verify_jwt = false\n',
    ],
)
def test_what_is_written_in_another_way_is_left_alone(tmp_path: Path, text: str) -> None:
    assert removed(tmp_path / "a.toml", text, "hello") == (False, text)


def test_a_file_without_it_and_a_link_stay_as_they_are(tmp_path: Path) -> None:
    assert removed(tmp_path / "a.toml", TOML, "other") == (True, TOML)
    link = tmp_path / "link.toml"
    link.symlink_to("a.toml")
    (tmp_path / "a.toml").chmod(0o640)
    assert remove(link, "hello")
    assert link.is_symlink()
    assert (tmp_path / "a.toml").stat().st_mode & 0o777 == 0o640


NAMES = st.sampled_from(["a", "b", "c"])
LINES = st.one_of(
    NAMES.map(lambda name: f"[functions.{name}]"),
    NAMES.map(lambda name: f"[functions.{name}.env]"),
    st.sampled_from(["[db]", "x = 1", "y = 'z'", "# note", "", 't = """', '"""']),
)


@given(st.lists(LINES, max_size=12))
def test_any_file_says_the_same_about_everything_else(
    tmp_path_factory: TempPathFactory, lines: list[str]
) -> None:
    text = "\n".join(lines)
    try:
        before: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path = tmp_path_factory.mktemp("toml") / "postmill.toml"
    done, after = removed(path, text, "a")
    rest = {name: value for name, value in before.get("functions", {}).items() if name != "a"}
    if done:
        assert tomllib.loads(after).get("functions", {}) == rest
    else:
        assert after == text
