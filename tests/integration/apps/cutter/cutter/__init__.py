"""An app that shows of which release each part of it is."""
