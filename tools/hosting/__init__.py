"""The test hosts; tools/hosts.py is their command."""
