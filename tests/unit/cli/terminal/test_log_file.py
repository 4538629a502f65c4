"""The log on disk: read whole, followed, and across its rotation."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from postmill.cli.terminal import log_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_on_disk_is_read_across_its_rotation(tmp_path: Path) -> None:
    path = log_file.path_in(tmp_path)
    path.parent.mkdir(parents=True)
    path.with_name("functions.log.1").write_text('{"event": "1"}\n{"event": "2", "function": "f"}\nbroken\n')
    path.write_text('{"event": "3", "function": "f"}\n[]\n{"event": "4"}\n')
    assert [line["event"] for line in log_file.read(tmp_path, function=None, last=3, follow=False)] == list(
        "234"
    )
    assert [line["event"] for line in log_file.read(tmp_path, function="f", last=9, follow=False)] == list(
        "23"
    )
    with closing(log_file.read(tmp_path, function=None, last=1, follow=True)) as following:
        assert next(following)["event"] == "4"
        with path.open("a") as file:
            file.write('{"event": "5"}\n{"event":')
            file.flush()
            assert next(following)["event"] == "5"
            file.write(' "6"}\n')
        assert next(following)["event"] == "6"
        path.replace(path.with_name("functions.log.1"))
        path.write_text('{"event": "7"}\n')
        assert next(following)["event"] == "7"
