"""A wiki of plain text pages: the Starlette app of the demo."""
