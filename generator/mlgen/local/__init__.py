"""The local engine: a Plan becomes processes on this machine and records, by the protocol that pods follow."""
