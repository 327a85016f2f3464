"""Our answers as the Language Server Protocol has them: places in its units, kinds by its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lsprotocol import types

from mlgen.codes import CODES
from mlgen.diagnostic import Diagnostic, Severity, Span, sentence, visible
from mlgen.editor import snippets as snippet
from mlgen.editor.complete import Answer
from mlgen.editor.outline import Part
from mlgen.editor.positions import Encoding, to_column, to_units

MANUAL = "https://github.com/mlgen/mlgen/blob/main/generator/mlgen/codes.md"
Lines = Sequence[str]

_COMPLETIONS = {
    "key": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "reference": types.CompletionItemKind.Reference,
    "task": types.CompletionItemKind.Function,
    "path": types.CompletionItemKind.File,
    "word": types.CompletionItemKind.Reference,
    "snippet": types.CompletionItemKind.Snippet,
}
_SYMBOLS = {
    "section": types.SymbolKind.Namespace,
    "param": types.SymbolKind.Variable,
    "input": types.SymbolKind.File,
    "task": types.SymbolKind.Function,
    "out": types.SymbolKind.Field,
    "entry": types.SymbolKind.Key,
}


def split(text: str) -> list[str]:
    """The lines of a text as the protocol counts them."""
    return re.split(r"\r\n|\n|\r", text)


def position(lines: Lines, line: int, column: int, encoding: Encoding) -> types.Position:
    """A place of ours (lines and columns from 1)."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return types.Position(max(0, line - 1), to_units(text, max(0, column - 1), encoding))


def place(lines: Lines, at: types.Position, encoding: Encoding) -> tuple[int, int]:
    """Line and column, both from 0, in characters."""
    text = lines[at.line] if at.line < len(lines) else ""
    return at.line, to_column(text, at.character, encoding)


def range_of(lines: Lines, span: Span, encoding: Encoding) -> types.Range:
    start = position(lines, span.line, span.column, encoding)
    return types.Range(start, position(lines, span.end_line, span.end_column, encoding))


def diagnostic(
    found: Diagnostic, lines: Callable[[str], Lines], uri: Callable[[str], str], encoding: Encoding
) -> types.Diagnostic:
    """A finding, with its why and fix below its message. lines, uri: of a file by its path below the project."""
    told = [sentence(found.message)]
    told += [f"{word}: {sentence(text)}" for word, text in (("why", found.why), ("fix", found.fix)) if text]
    related = [
        types.DiagnosticRelatedInformation(
            types.Location(uri(other.span.file), range_of(lines(other.span.file), other.span, encoding)),
            sentence(other.message),
        )
        for other in found.related
    ]
    page = types.CodeDescription(f"{MANUAL}#{found.code}") if found.code in CODES else None
    error = found.severity is Severity.ERROR
    return types.Diagnostic(
        range=range_of(lines(found.span.file), found.span, encoding),
        message="\n".join(told),
        severity=types.DiagnosticSeverity.Error if error else types.DiagnosticSeverity.Warning,
        code=found.code,
        code_description=page,
        source="mlgen",
        tags=[types.DiagnosticTag.Unnecessary] if found.code in ("unused", "redundant-after") else None,
        related_information=related or None,
    )


def completion(answer: Answer, lines: Lines, encoding: Encoding, *, snippets: bool) -> types.CompletionItem:
    """An answer. snippets: whether the editor knows places to fill."""
    start = position(lines, answer.line + 1, answer.start + 1, encoding)
    end = position(lines, answer.line + 1, answer.end + 1, encoding)
    text, is_snippet = answer.text, answer.kind == "snippet"
    if is_snippet and not snippets:
        text = snippet.filled(text)
    return types.CompletionItem(
        label=visible(answer.label),
        kind=_COMPLETIONS[answer.kind],
        detail=sentence(answer.detail) or None,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, answer.told) if answer.told else None,
        sort_text=f"{answer.order + 1:02}{answer.label}",
        filter_text=answer.label,
        insert_text_format=types.InsertTextFormat.Snippet if is_snippet and snippets else None,
        insert_text_mode=types.InsertTextMode.AdjustIndentation if is_snippet else None,
        text_edit=types.TextEdit(types.Range(start, end), text),
    )


def symbol(part: Part, lines: Lines, encoding: Encoding) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=part.name,
        kind=_SYMBOLS[part.kind],
        detail=part.detail or None,
        range=range_of(lines, part.whole, encoding),
        selection_range=range_of(lines, part.span, encoding),
        children=[symbol(child, lines, encoding) for child in part.parts],
    )
