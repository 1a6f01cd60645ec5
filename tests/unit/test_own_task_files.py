# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory's own files of tasks: found, or refused with the fix."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.asgi.host.plugins.plugin_utils import _own_tasks


def test_files_are_found_where_sources_are(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "drain.yml").write_text("---\n[]\n", encoding="utf-8")
    files, problems = _own_tasks.found({"before_releases_tasks": ["tasks/drain.yml"]}, [str(tmp_path)])
    assert problems == []
    assert files == {
        "before_releases": [str(tmp_path / "tasks" / "drain.yml")],
        "after_releases": [],
        "before_nginx": [],
        "after": [],
    }


def test_wrong_ones_are_refused_by_name(tmp_path: Path) -> None:
    given = {
        "before_releases_tasks": "tasks/drain.yml",
        "after_releases_tasks": [{"import": "x"}],
        "before_nginx_tasks": ["nowhere.yml"],
        "after_tasks": ["."],
    }
    _files, problems = _own_tasks.found(given, [str(tmp_path)])
    assert [words.partition(":")[0] for words in problems] == [
        "asgi_host_before_releases_tasks",
        "asgi_host_after_releases_tasks[0]",
        "asgi_host_before_nginx_tasks[0]",
        "asgi_host_after_tasks[0]",
    ]
    assert all("give" in words or "list the files" in words for words in problems), problems
