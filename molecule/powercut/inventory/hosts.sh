#!/bin/sh
# This scenario's machine: of the newest Debian release, or of the one that MOLECULE_SUITE names.
exec "$(dirname "$0")/../../../tools/machines.py" inventory --scenario powercut "$@"
