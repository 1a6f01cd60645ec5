#!/bin/sh
# The host of the benchmarks other than `make bench-deploys`, which boot it on this machine.
exec "$(dirname "$0")/../../tools/hosts.py" inventory "${BENCH_HOST:-bench}" "$@"
