"""A table of routes: the first one that fits answers, and what fits none is told apart."""

from __future__ import annotations

import pytest

from postmill.web.routes import ANY, NoRoute, Route, RouteTable, WrongMethod

TABLE = RouteTable(
    [
        Route(("GET",), "/items", "list"),
        Route(("GET", "PUT"), "/items/<name>", "item"),
        Route(("POST",), "/items/<name>/copies/<number>", "copy"),
        Route(ANY, "/items/<name>/*", "below"),
        Route(("GET",), "/a.b", "dot"),
        Route(ANY, "/admin/*", "rest", "admin"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/items", ("list",)),
        ("PUT", "/items/7", ("item", "7")),
        ("POST", "/items/7/copies/2", ("copy", "7", "2")),
        ("DELETE", "/items/7/copies/2", ("below", "7")),
        ("GET", "/items/7/", ("below", "7")),
        ("GET", "/items/../x", ("below", "..")),
        ("GET", "/items/a\nb", ("item", "a\nb")),
        ("GET", "/a.b", ("dot",)),
        ("BREW", "/admin/", ("rest",)),
        ("GET", "/admin/a\n/b", ("rest",)),
    ],
)
def test_the_first_route_that_fits_answers(method: str, path: str, found: tuple[str, ...]) -> None:
    route, names = TABLE.find(method, path)
    assert (route.answer, *names) == found


@pytest.mark.parametrize("path", ["", "/", "/item", "/items/", "/axb", "/admin", "//items", "/items\n"])
def test_what_no_route_has_is_not_found(path: str) -> None:
    with pytest.raises(NoRoute) as raised:
        TABLE.find("GET", path)
    assert not isinstance(raised.value, WrongMethod)


@pytest.mark.parametrize(("method", "path"), [("POST", "/items"), ("", "/items/7"), ("get", "/items")])
def test_a_known_path_with_another_method_is_told_apart(method: str, path: str) -> None:
    with pytest.raises(WrongMethod):
        TABLE.find(method, path)
