# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of a project that has it from git: hosts get no repository, so builds are told what the controller asked."""

from __future__ import annotations

import re
from collections.abc import Mapping


def variables(told: Mapping[str, str], *, alone: bool) -> dict[str, str]:
    """The variables that tell a build its version; ``told`` has the project's ``name`` and ``version``, or nothing.

    Most of the tools know one variable for all projects, which would be the version of a dependency too that is built beside:
    ``alone`` says that the project itself is all that is built.
    """
    version, name = told.get("version", ""), told.get("name", "")
    if not version:
        return {}
    found = {}
    if name:
        found[f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{re.sub(r'[^A-Z0-9]+', '_', name.upper())}"] = version
    if alone:
        found |= {
            "SETUPTOOLS_SCM_PRETEND_VERSION": version,
            "PDM_BUILD_SCM_VERSION": version,
            "POETRY_DYNAMIC_VERSIONING_BYPASS": version,
            "UV_DYNAMIC_VERSIONING_BYPASS": version,
        }
    return found
