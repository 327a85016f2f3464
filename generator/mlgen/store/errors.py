"""The ways in which a store says no."""

from __future__ import annotations


class StoreError(Exception):
    """A store said no; the message is a sentence for people."""


class Missing(StoreError):
    """Nothing is kept under that key."""


class TooLarge(StoreError):
    """More bytes are kept under that key than whoever asked wants to hold in memory."""


class Taken(StoreError):
    """Other bytes are kept under that key already, and what is kept never changes."""


class Mismatch(StoreError):
    """The bytes are not those of the digest that was asked for."""


class BadArtifact(StoreError):
    """A file or folder that cannot be an artifact: a link, a socket, a name that is no text, what cannot be read."""


class BadKey(StoreError, ValueError):
    """A key that could leave the store, or that some store could not keep."""
