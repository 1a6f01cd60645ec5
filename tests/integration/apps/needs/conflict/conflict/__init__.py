"""Cannot be installed: its requirements exclude each other."""
