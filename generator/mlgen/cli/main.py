"""The command line: finds the verb, runs it, and is the one place where everything that can go wrong is told."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from mlgen.cli import output
from mlgen.cli.interrupts import terminable
from mlgen.cli.verbs import VERBS, help_text
from mlgen.diagnostic import CannotAnswer, Fault, Findings

_WHOLE = 1000  # characters: the first sentence, however long it is


def _enter(_context: object, _option: object, folder: str | None) -> None:
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise typer.BadParameter(f"{folder}: {error.strerror}") from None


def with_directory(command: Any) -> Any:
    """Give every verb, and every verb below it, the option -C; it acts before all others."""
    for sub in getattr(command, "commands", {}).values():
        with_directory(sub)
    if isinstance(command, TyperCommand):
        option = TyperOption(
            param_decls=["-C"],
            metavar="DIR",
            help="Run as if started in DIR.",
            callback=_enter,
            is_eager=True,
            expose_value=False,
        )
        command.params.append(option)
    return command


class Group(TyperGroup):
    """A verb with verbs below it, whose help has a whole sentence of each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=_WHOLE)) for name, one in commands if one])


class LazyGroup(Group):
    """A verb's module is imported when the verb is used: a start pays for one. verbs: their names."""

    verbs: Collection[str] = ()

    def list_commands(self, _ctx: object) -> list[str]:
        return list(self.verbs)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.verbs:
            near = get_close_matches(args[0], self.verbs, n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


class _Root(LazyGroup):
    verbs = VERBS

    def get_command(self, _ctx: object, name: str) -> Any:
        if name not in VERBS:
            return None
        app = importlib.import_module(f"mlgen.cli.{name}").app
        command = typer.main.get_command(app)
        command.name = name
        return with_directory(command)

    def get_help(self, _ctx: object) -> str:
        return help_text()


def verbs_below(verbs: Mapping[str, tuple[str, str, str]]) -> typer.Typer:
    """The Typer of a verb that has verbs of its own: name -> its line in the help, module below cli/, function."""

    class Verbs(LazyGroup):
        def get_command(self, _ctx: object, name: str) -> Any:
            if name not in verbs:
                return None
            _, module, function = verbs[name]
            verb = new_app()
            verb.command(name)(getattr(importlib.import_module(f"mlgen.cli.{module}"), function))
            return with_directory(typer.main.get_command(verb))

        def format_commands(self, _ctx: object, formatter: Any) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(name, line) for name, (line, _, _) in verbs.items()])

    Verbs.verbs = verbs
    return new_app(cls=Verbs, no_args_is_help=True)


def new_app(**settings: Any) -> typer.Typer:
    """The Typer of one verb: help without rich (it costs 0.1 s), no completion, our own error boundary."""
    settings = {"cls": Group, **settings}
    return typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, **settings)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. Nothing that a user can cause ends in a traceback."""
    with terminable():
        return output.let_go(_run(list(arguments)))


def _run(args: list[str]) -> int:
    if args[:1] == ["-C"] and len(args) > 2:  # as in `git -C DIR verb`
        args = [args[2], *args[:2], *args[3:]]
    try:
        _Root(name="mlgen", rich_markup_mode=None).main(args=args, prog_name="mlgen")
    except SystemExit as end:
        has_left = isinstance(end.__context__, BrokenPipeError)  # click's own way to end where the reader left
        return 0 if has_left else end.code if isinstance(end.code, int) else 1
    except Findings as found:
        output.findings_to_stderr(found.diagnostics)
        return 1
    except Fault as fault:
        output.fault(fault)
        return fault.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0  # the reader (head, less) has what it wanted
    except OSError as error:
        output.fault(_of_os_error(error))
        return 3
    except Exception as error:
        output.bug(error)
        return 3
    return 0


def _of_os_error(error: OSError) -> CannotAnswer:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotAnswer(
            "disk-full",
            f"{where}no space left on the device",
            why="nothing was half written: files and records appear whole or not at all",
            fix="make room and run the same command again",
        )
    return CannotAnswer(
        "system-error",
        f"{where}{error.strerror or error}",
        fix="mend what the system says and run the same command again",
    )
