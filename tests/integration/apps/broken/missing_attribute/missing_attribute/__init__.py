"""Broken: the import string names `app`, the module has only `application`."""
