"""toolman: a manager of musl and GNU cross toolchains."""

__version__ = "0.1.0"
