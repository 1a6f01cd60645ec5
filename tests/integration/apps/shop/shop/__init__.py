"""A small shop: the FastAPI app of the demo."""

__version__ = "1.0.0"
