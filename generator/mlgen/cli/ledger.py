"""`mlgen ledger`: land what waits in the spool on the ledger's branch, and look after it."""

from __future__ import annotations

from mlgen.cli.main import verbs_below

# name -> (its line in the help, module, function): a module is imported when its verb is used.
VERBS: dict[str, tuple[str, str, str]] = {
    "fold": ("Land what waits in the spool", "ledgers.fold", "fold"),
    "reconcile": ("Tell of what no pod in a cluster could, then fold", "ledgers.reconcile", "reconcile"),
    "verify": ("Verify that nothing in the ledger was changed", "ledgers.verify", "verify"),
    "export": ("Give the ledger in a form that others read", "ledgers.export", "export"),
    "import": ("Take OpenLineage events of others", "ledgers.importing", "import_events"),
    "index": ("Bring the index up to date, and say where it is", "ledgers.index", "index"),
    "epoch": ("Erase records: the history begins anew without them", "ledgers.epoch", "epoch"),
    "hook": ("Print a pre-receive hook for a Git server", "ledgers.hook", "hook"),
}


app = verbs_below(VERBS)


@app.callback()
def ledger() -> None:
    """Keep the ledger: the branch that holds the records."""
