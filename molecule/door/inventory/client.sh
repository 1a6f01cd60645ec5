#!/bin/sh
# The host from which they are attacked.
exec "$(dirname "$0")/../../../tools/hosts.py" inventory door-client --group client "$@"
