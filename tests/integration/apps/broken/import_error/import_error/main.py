"""Broken: the module imports what is not there."""

import a_module_that_is_not_installed  # type: ignore[import-not-found]

app = a_module_that_is_not_installed.app
