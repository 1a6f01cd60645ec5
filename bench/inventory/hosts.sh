#!/bin/sh
# The host of `make bench-workers` and `make bench-servers`, which boot it on this machine.
exec "$(dirname "$0")/../../tools/hosts.py" inventory "${BENCH_HOST:-bench}" "$@"
