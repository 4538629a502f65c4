"""supabase-js in a real browser, on a page of another origin: what CORS hides from every other client."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.browser import Browser, browser, site
from tests.clients.installed import CLIENTS, found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving import Serving

PAGE = b'<!doctype html><title>page</title><script src="/supabase.js"></script>'
INVOKE = """
(async () => {
  const options = {auth: {persistSession: false, autoRefreshToken: false}};
  const client = supabase.createClient(%(url)s, %(key)s, options);
  let given = %(options)s;
  if (given.form) { given.body = new FormData(); given.body.append("a", given.form); delete given.form; }
  const {data, error} = await client.functions.invoke(%(name)s, given);
  if (!error) return {data};
  const context = error.context;
  const told = {name: error.name, status: context?.status ?? null};
  if (context?.headers) told.code = context.headers.get("sb-error-code");
  return {error: told};
})()
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    """A page with supabase-js."""
    binary = found(Path(shutil.which("chromium") or "/nonexistent"), "chromium")
    package = CLIENTS / "node" / "node_modules" / "@supabase" / "supabase-js"
    script = found(package / "dist" / "umd" / "supabase.js", "supabase-js").read_bytes()
    files = {"/": ("text/html", PAGE), "/supabase.js": ("text/javascript", script)}
    with site(files) as origin, browser(binary) as opened:
        opened.open(f"{origin}/")
        yield opened


def invoke(page: Browser, serving: Serving, name: str, key: str | None = None, **options: Any) -> Any:
    """What the page's script is given."""
    told = {"url": serving.url, "key": key or serving.keys.anon, "name": name, "options": options}
    return page.evaluate(INVOKE % {each: json.dumps(value) for each, value in told.items()})


def test_a_handler_knows_nothing_of_cors(page: Browser, serving: Serving) -> None:
    """The preflight is answered for it, and its answer may be read."""
    answer = invoke(page, serving, "echo", body={"a": 1}, headers={"x-mine": "1"})
    assert answer["data"]["body"] == '{"a":1}'
    assert (answer["data"]["method"], answer["data"]["x-mine"]) == ("POST", "1")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_every_method(page: Browser, serving: Serving, method: str) -> None:
    assert invoke(page, serving, "echo/sub", method=method)["data"]["method"] == method


def test_a_form(page: Browser, serving: Serving) -> None:
    assert invoke(page, serving, "form", form="1")["data"] == {"a": "1"}


def test_a_handler_that_names_an_origin_is_obeyed(page: Browser, serving: Serving) -> None:
    assert invoke(page, serving, "private", body={})["error"]["name"] == "FunctionsFetchError"


def test_an_application_answers_for_itself(page: Browser, serving: Serving) -> None:
    """FastAPI with its CORSMiddleware, which allows one header and not the other."""
    allowed = {"x-mine": "1"}
    answer = invoke(page, serving, "api/notes", body={"text": "one"}, headers=allowed)
    assert answer["data"] == {"text": "one"}
    refused = invoke(page, serving, "api/notes", body={"text": "two"}, headers={"x-other": "1"})
    assert refused["error"]["name"] == "FunctionsFetchError"


@pytest.mark.parametrize(
    ("name", "error", "status", "code"),
    [
        ("unimportable", "FunctionsRelayError", 503, "BOOT_ERROR"),
        ("dying", "FunctionsHttpError", 500, "WORKER_ERROR"),
        ("raising", "FunctionsHttpError", 500, "EDGE_FUNCTION_ERROR"),
    ],
)
def test_a_failure_can_be_read(
    page: Browser, serving: Serving, name: str, error: str, status: int, code: str
) -> None:
    """Its answer is Postmill's, and carries the headers itself."""
    assert invoke(page, serving, name, body={})["error"] == {"name": error, "status": status, "code": code}


def test_wrong_credentials_can_be_read(page: Browser, serving: Serving) -> None:
    told = invoke(page, serving, "echo", key="nonsense", body={})["error"]
    assert (told["name"], told["status"]) == ("FunctionsRelayError", 401)
    assert told["code"] == "UNAUTHORIZED_INVALID_JWT_FORMAT"
