#!/bin/sh
# The host, or hosts, of the benchmarks that boot them on this machine by BENCH_HOST.
# shellcheck disable=SC2086 # several names are several words
exec "$(dirname "$0")/../../tools/hosts.py" inventory ${BENCH_HOST:-bench} "$@"
