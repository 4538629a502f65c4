"""The work itself: the links of a folder's page, and what a Python file defines. No network, no database."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

Defining = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Old files hold escapes that the parser warns about: their authors' business, not ours.
_FILE_NAME = "<page>"
warnings.filterwarnings("ignore", module=_FILE_NAME)


class UnreadableError(Exception):
    """This is no Python that the running Python understands, and trying again won't make it so."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class of a page, with the first line of its docstring."""

    kind: str
    name: str
    line: int
    summary: str


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.extend(value for name, value in attrs if name == "href" and value)


def links(url: str, html: str) -> list[str]:
    """The addresses that the page links to on its own site, absolute, each once, sorted."""
    parser = _Links()
    parser.feed(html)
    parser.close()
    absolute = {urldefrag(urljoin(url, link)).url for link in parser.found}
    return sorted(link for link in absolute if urlsplit(link).netloc == urlsplit(url).netloc)


def definitions(source: bytes | str) -> list[Definition]:
    """The functions and classes of a Python file, by line.

    Bytes are decoded by Python's own rules: the coding line, else UTF-8.

    Raises ``UnreadableError`` when it does not parse.
    """
    try:
        tree = ast.parse(source, filename=_FILE_NAME)
    except SyntaxError as error:
        raise UnreadableError(f"syntax error in line {error.lineno}: {error.msg}") from error
    except (
        ValueError,
        RecursionError,
        MemoryError,
    ) as error:  # NUL bytes; nesting deeper than the parser goes
        raise UnreadableError(f"cannot be parsed: {error}") from error
    return sorted(map(_definition, _defining(tree)), key=lambda definition: definition.line)


def _defining(tree: ast.Module) -> Iterator[Defining]:
    """The module, and its classes and functions at every depth; looks at no expression, which saves half."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Defining):
            yield node
        for block in _BLOCKS:
            waiting.extend(getattr(node, block, ()))


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def _definition(node: Defining) -> Definition:
    docstring = (ast.get_docstring(node, clean=False) or "").strip()
    summary = _storable(docstring.partition("\n")[0])
    if isinstance(node, ast.Module):
        return Definition("module", "", 1, summary)
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    return Definition(kind, node.name, node.lineno, summary)


def _storable(text: str) -> str:
    """Without what Python strings may hold and Postgres text may not: NUL and lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
