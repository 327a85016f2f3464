"""Secrets in what is about to be recorded, or was written into a spec: where one is, and the same without it.

Everybody who can read a repository or its ledger reads all of it, for ever, so nothing secret may get in. Secrets that
a task declares are known and looked for as they are (`runtime.secrets`); here is what nobody declared, known by its
looks:

  - tokens and keys with the shape that their issuer gave them, and passwords in URLs (`shapes`);
  - values that a name calls secret, above them (`names`) or before them in a text (`assigned`);
  - long random strings (`words`).

A guess, so it takes nothing away but the text itself: a writer masks it, and goes on. What a writer masked is no secret
to a reader: `find(bytes of masking.scrub(x))` is empty, so that no record that mlgen writes is refused for a secret.
"""

from mlgen.secrets.look import MASK, Finding, find

__all__ = ["MASK", "Finding", "find"]
