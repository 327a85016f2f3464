"""Texts that a spec may hold, each of which means something to some host, parser or terminal."""

from __future__ import annotations

from hypothesis import strategies as st

TEXTS = [
    "@octocat and @org/team",
    "#123 GH-123 octo/repo#1 !45 &6 ~bug %1.0",
    "[a](https://example.com) ![b](https://example.com/c.png) <https://example.com> [d]: https://example.com",
    "www.example.com https://example.com someone@example.com",
    "<script>alert(1)</script><img src=x onerror=alert(1)><!-- hidden",
    "--> </details></summary></code></pre><details open>",
    "` `` ``` ```` ~~~",
    "```\n@octocat\n```suggestion\nx\n```",
    "| a | b |\n|---|---|",
    "a \\| b \\\\| c",
    "**bold** _it_ ~~gone~~ # head\n> quote\n- item\n1. one\n---\n===",
    "$x$ $$y$$ $`z`$ :tada: \\(a\\) &amp; &#64;octocat &lt;b&gt;",
    "/close\n/assign @octocat",
    "::error file=x::y\n::set-output name=a::b\n::add-mask::a\n::stop-commands::t",
    "##[add-mask]a ##[error]b ##vso[task.setvariable variable=a]b ##teamcity[buildStop]",
    " ::add-mask::a",
    "%0A::error::x %25 %3A%2C",
    "a,line=1::b",
    "]]> <![CDATA[ <!DOCTYPE a [<!ENTITY b 'c'>]> &b;",
    "\x00\x01\x08\x0b\x0c\x1b[31m\x1b]8;;https://example.com\x1b\\x\x7f\x85\x9b",
    "\r\n\r\t\u2028\u2029",
    "\ud800 \udc80 \ufffe \uffff \U0001fffe",
    "\u202e\u2066\u200b\u200f\ufeff\u00ad",
    "\u00a0\u3000::add-mask::a",
    "e\u0301 é 日本 \U0001f600 \U0001f468\u200d\U0001f469",
    " ",
    " a ",
    "",
    "x" * 5000,
    "`" * 100,
    " ".join("`" * n for n in range(1, 90)),
]

# Any text, and what is nearly mark-up: a plain search would seldom find three of the same in a row.
texts = st.sampled_from(TEXTS) | st.text(max_size=60) | st.text("`~|\\\n\r <>&*_[]()!#:;%@$-=a\"'/", max_size=60)
