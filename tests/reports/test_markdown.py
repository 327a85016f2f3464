"""Text of anyone in a comment of a pull request, read back by a parser of Markdown: it is code, and it is all there."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mlgen.diagnostic import visible
from mlgen.reports import markdown
from tests.reports.hostile import TEXTS, texts

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def leaves(text: str) -> list[Token]:
    """All that is shown: code, text, HTML."""
    out: list[Token] = []
    for token in READER.parse(text):
        out += token.children or [] if token.type == "inline" else [token] if not token.nesting else []
    return out


def expected(text: str, run: str = "`") -> str:
    return visible(text).replace("`", run)


@given(text=texts)
def test_inline_is_one_piece_of_code_with_the_whole_text(text: str) -> None:
    made = markdown.inline(text)
    if not visible(text).strip():
        assert made == ""
        return
    for around in ("{}", "- {}", "word {} word", "1. {}", "> {}"):
        shown = [leaf for leaf in leaves(around.format(made)) if leaf.content.strip() not in ("", "word")]
        assert [leaf.type for leaf in shown] == ["code_inline"]
        assert shown[0].content in (expected(text), expected(text, "'"))


@given(first=texts, second=texts)
def test_a_table_has_its_cells_and_no_other(first: str, second: str) -> None:
    tokens = READER.parse("\n".join(markdown.table([first, "b"], [[second, first], ["c", second]])))
    assert sum(token.type == "tr_open" for token in tokens) == 3
    assert sum(token.type in ("td_open", "th_open") for token in tokens) == 6
    shown = [leaf for token in tokens for leaf in token.children or []]
    assert {leaf.type for leaf in shown} <= {"code_inline"}
    cells = [text for text in (first, "b", second, first, "c", second) if visible(text).strip()]
    told = [leaf.content.replace("'", "`") for leaf in shown]
    assert told == [visible(text).replace("|", "¦").replace("'", "`") for text in cells]


@given(text=texts)
def test_a_block_is_closed_by_nothing_in_it(text: str) -> None:
    made = markdown.block(text, "yaml")
    for before in ("", "word\n\n"):
        fence = leaves(before + made + "\n\nword")[-2]
        assert (fence.type, fence.info) == ("fence", "yaml")
        lines = text.removesuffix("\n").split("\n")
        # What the parser cannot hold (NUL) is escaped by us already.
        assert fence.content == "".join(f"{visible(line)}\n" for line in lines)
    assert leaves(made + "\n\nword")[-1].content == "word"


def test_the_language_of_a_block_is_a_word_of_ours() -> None:
    with pytest.raises(ValueError, match="no language"):
        markdown.block("x", "a`b")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        within = self.tags[-1]
        self.texts[within] = self.texts.get(within, "") + data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@given(title=texts, inner=texts)
def test_a_fold_holds_its_body_and_shows_its_title(title: str, inner: str) -> None:
    made = markdown.fold(title, markdown.block(inner), "2 < 3")
    head, body, end = leaves(f"word\n\n{made}\n\nword")[1:-1]
    assert [head.type, body.type, end.type] == ["html_block", "fence", "html_block"]
    seen = Tags()
    seen.feed(head.content)
    assert seen.tags == ["details", "summary", "code", "/code", "/summary"]
    assert seen.texts.get("code", "") == visible(title)
    assert seen.texts["/code"] == " 2 < 3"
    assert end.content.strip() == "</details>"


@pytest.mark.parametrize("text", TEXTS)
def test_every_hostile_text_is_code(text: str) -> None:
    page = "\n\n".join(
        [markdown.inline(text), *markdown.table([text], [[text]]), markdown.block(text), markdown.fold(text, "word")]
    )
    page = page.replace("|\n\n|", "|\n|")
    html = READER.render(page)
    outside = re.sub(r"<(code|pre)\b.*?</\1>", "", html, flags=re.S)
    tags = set(re.findall(r"</?([a-z]+)", outside))
    assert tags <= {"p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    assert set(re.sub(r"<[^>]*>", "", outside).split()) <= {"word"}
