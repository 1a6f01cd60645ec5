"""The Django site of the demo."""
