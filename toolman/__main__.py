"""`python -m toolman`."""

from toolman.cli import entry

entry()
