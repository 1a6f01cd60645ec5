#!/bin/sh
# The demo's host, which `make demo` boots on this machine.
exec "$(dirname "$0")/../../tools/hosts.py" inventory demo "$@"
