"""What an editor asks of places and names, answered by `mlgen.editor`."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from mlgen.cli.editing import words
from mlgen.cli.editing.session import Server, asked
from mlgen.diagnostic import sentence
from mlgen.editor import names, rename
from mlgen.editor.complete import complete
from mlgen.editor.hover import hover
from mlgen.editor.mend import mending
from mlgen.editor.outline import outline

TRIGGERS = [".", " ", "[", "{", ",", ":", "/", '"', "-"]


def answer_of_places(server: Server) -> None:
    """What an editor asks of a place."""

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=TRIGGERS))
    def completions(ls: Server, params: types.CompletionParams) -> types.CompletionList | None:
        path = ls.path(params.text_document.uri)
        buffer = ls.state.buffers.open.get(path) if path else None
        found = ls.scene(params.text_document.uri, params.position.line)
        if buffer is None or found is None:
            return None
        lines = words.split(buffer.text)
        answers = complete(found[1], lines, *words.place(lines, params.position, ls.encoding))
        client = ls.client_capabilities.text_document
        item = client.completion.completion_item if client and client.completion else None
        snippets = bool(item and item.snippet_support)
        items = [words.completion(answer, lines, ls.encoding, snippets=snippets) for answer in answers]
        return types.CompletionList(is_incomplete=True, items=items)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(ls: Server, params: types.HoverParams) -> types.Hover | None:
        place = asked(ls, params)
        shown = hover(place.scene, place.line, place.column) if place else None
        if place is None or shown is None:
            return None
        range_ = words.range_of(place.lines, shown.span, ls.encoding)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, shown.text), range_)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        found = ls.scene(params.text_document.uri)
        if found is None:
            return []
        home, scene = found
        lines = ls.lines(home, scene.file)
        return [words.symbol(part, lines, ls.encoding) for part in outline(scene)]

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri
        found = ls.scene(uri)
        if found is None:
            return []
        home, scene = found
        lines, offered = ls.lines(home, scene.file), []
        for one in ls.told_of_now(uri):
            range_ = words.range_of(lines, one.span, ls.encoding)
            if range_.start > params.range.end or range_.end < params.range.start:
                continue
            mended = mending(scene.document, one)
            if mended is not None:
                edit = types.TextEdit(words.range_of(lines, mended[1].span, ls.encoding), mended[1].text)
                change = types.WorkspaceEdit(changes={uri: [edit]})
                offered.append(types.CodeAction(mended[0], types.CodeActionKind.QuickFix, edit=change))
        return offered


def answer_of_names(server: Server) -> None:
    """What an editor asks of a name."""

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definitions(ls: Server, params: types.DefinitionParams) -> list[types.Location]:
        place = asked(ls, params)
        found = names.at(place.scene, place.line, place.column) if place else None
        if place is None or found is None:
            return []
        return [ls.location(place.home, span) for span in names.definitions(place.scene, found.name)]

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
        place = asked(ls, params)
        found = names.at(place.scene, place.line, place.column) if place else None
        if place is None or found is None:
            return []
        places = names.all_of(place.scene, found.name)
        wanted = [one for one in places if params.context.include_declaration or not one.given]
        return [ls.location(place.home, one.span) for one in wanted]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepared(ls: Server, params: types.PrepareRenameParams) -> types.Range | None:
        place = asked(ls, params)
        if place is None:
            return None
        try:
            found = rename.renamable(place.scene, place.line, place.column)
        except rename.NotRenamed:
            return None
        return words.range_of(place.lines, found.span, ls.encoding)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def renamed(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
        place = asked(ls, params)
        if place is None:
            return None
        try:
            found = rename.rename(place.scene, place.line, place.column, params.new_name)
        except rename.NotRenamed as no:
            raise JsonRpcInvalidParams(str(no)) from None
        for text in found.left:
            ls.window_show_message(types.ShowMessageParams(types.MessageType.Warning, f"mlgen: {sentence(text)}"))
        edits = [types.TextEdit(words.range_of(place.lines, e.span, ls.encoding), e.text) for e in found.edits]
        return types.WorkspaceEdit(changes={params.text_document.uri: edits})
