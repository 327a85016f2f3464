"""`mlgen ledger`: land what waits in the spool on the ledger's branch, and look after it."""

from __future__ import annotations

from mlgen.cli.ledger_epoch import epoch
from mlgen.cli.ledger_export import export
from mlgen.cli.ledger_fold import fold
from mlgen.cli.ledger_hook import hook
from mlgen.cli.ledger_import import import_events
from mlgen.cli.ledger_index import index
from mlgen.cli.ledger_verify import verify
from mlgen.cli.main import new_app
from mlgen.cli.reconcile import reconcile

app = new_app(no_args_is_help=True, help="Keep the ledger: the branch that holds the records.")


app.command()(fold)
app.command()(reconcile)
app.command()(verify)
app.command()(export)
app.command()(epoch)
app.command()(hook)
app.command("import")(import_events)
app.command()(index)
