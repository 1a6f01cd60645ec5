"""The app of the benchmarks that compare this collection with others."""
