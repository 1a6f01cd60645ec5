#!/bin/sh
# The benchmark's host, which `make bench-deploys` boots on this machine.
exec "$(dirname "$0")/../../../tools/hosts.py" inventory bench "$@"
