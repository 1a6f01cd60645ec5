#!/bin/sh
# This scenario's hosts: one per Debian release, or the one that MOLECULE_SUITE names.
exec "$(dirname "$0")/../../../tools/hosts.py" inventory --scenario walls "$@"
