"""The app of `make bench-workers` and `make bench-servers`."""
