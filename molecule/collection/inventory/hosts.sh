#!/bin/sh
# This scenario's host: of the newest Debian release, or of the one that MOLECULE_SUITE names. What is installed from
# the tarball is the same everywhere.
export MOLECULE_SUITE="${MOLECULE_SUITE:-trixie}"
exec "$(dirname "$0")/../../../tools/hosts.py" inventory --scenario collection "$@"
