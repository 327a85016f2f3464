"""What tokens look like that say themselves whose they are: a prefix that their issuer gave them, and an alphabet.

Issuers chose these prefixes so that scanners find them: the formats are those of their documentation. No expression
repeats within a repetition, and each begins with a text of its own, so that looking takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote


class Span(NamedTuple):
    """Where in a text, and what it seems to be, in words that follow "looks like"."""

    start: int
    end: int
    kind: str


_PASSWORD_OF_URL = re.compile(r"://[^\s/@:\"'\\<>?#]{0,128}:([^\s/@\"'\\<>*${][^\s/@\"'\\<>]{0,255})@(?!sha256:)")
# (kind, texts of which one is in every match, in lower case; the expression, whose group 1 is the secret if it has one)
_TOKENS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("a GitHub token", ("gh",), r"gh[oprsu]_[A-Za-z0-9]{36,255}"),
    ("a GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{40,255}"),
    ("a GitLab token", ("gl",), r"gl(?:pat|ptt|dt|rt|cbt|oas|ft|imt|agent|soat)-[A-Za-z0-9_.-]{20,255}"),
    ("an AWS access key", ("akia", "asia", "abia"), r"A(?:KI|SI|BI)A[A-Z2-7]{16}"),
    ("a Google API key", ("aiza",), r"AIza[A-Za-z0-9_-]{35}"),
    ("a Google token", ("ya29.",), r"ya29\.[A-Za-z0-9_-]{20,2048}"),
    ("a Google token", ("gocspx-",), r"GOCSPX-[A-Za-z0-9_-]{28}"),
    ("a Slack token", ("xox",), r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,255}"),
    ("a Slack token", ("xapp-",), r"xapp-[0-9]-[A-Za-z0-9-]{20,255}"),
    (
        "a Slack webhook",
        ("hooks.slack",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{20,255})",
    ),
    ("a Stripe key", ("k_live_", "k_test_"), r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}"),
    ("a Stripe key", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{20,255}"),
    ("an Anthropic key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{20,255}"),
    ("an OpenAI key", ("sk-",), r"sk-(?:(?:proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20,255}|[A-Za-z0-9]{20,255})"),
    ("a Hugging Face token", ("hf_", "api_org_"), r"(?:hf_|api_org_)[A-Za-z0-9]{30,64}"),
    ("an npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", ("pypi-",), r"pypi-[A-Za-z0-9_-]{50,512}"),
    ("a token of a model's API", ("gsk_", "r8_", "xai-", "pplx-"), r"(?:gsk_|r8_|xai-|pplx-)[A-Za-z0-9]{32,128}"),
    ("a SendGrid key", ("sg.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("a Twilio key", ("sk",), r"SK[0-9a-f]{32}"),
    ("a Databricks token", ("dapi", "dose", "dkea"), r"d(?:api|ose|kea)[0-9a-f]{32}(?:-[0-9])?"),
    ("a Weights & Biases key", ("wandb",), r"(?i:wandb)[^0-9\n]{0,24}(?i:key)[^0-9\n]{1,12}([0-9a-f]{40})"),
    ("a Weights & Biases key", ("wandb_v1_",), r"wandb_v1_[A-Za-z0-9_]{32,128}"),
    ("a Docker token", ("dckr_",), r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{24,64}"),
    ("a DigitalOcean token", ("_v1_",), r"do[opr]_v1_[0-9a-f]{64}"),
    ("a Vault token", ("hvs.", "hvb.", "hvr."), r"hv[bsr]\.[A-Za-z0-9_-]{24,255}"),
    ("a Grafana token", ("glc_", "glsa_"), r"gl(?:c|sa)_[A-Za-z0-9+/=_]{32,255}"),
    ("a Shopify token", ("shp",), r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("an Atlassian token", ("atatt3",), r"ATATT3[A-Za-z0-9_=-]{60,255}"),
    ("a Telegram token", (":aa",), r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("an Azure secret", ("q~",), r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    ("a Bedrock key", ("absk",), r"ABSK[A-Za-z0-9+/]{100,280}={0,2}"),
    ("a Notion token", ("ntn_",), r"ntn_[0-9]{11}[A-Za-z0-9]{35}"),
    ("a 1Password token", ("ops_eyj",), r"ops_eyJ[A-Za-z0-9+/_-]{200,4096}={0,3}"),
    ("an age key", ("age-secret-key-",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("a LangSmith key", ("lsv2_",), r"lsv2_[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("a Supabase token", ("sbp_",), r"sbp_[0-9a-f]{40}"),
    ("a Postman key", ("pmak-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("a Figma token", ("figd_",), r"figd_[A-Za-z0-9_-]{40,64}"),
    ("a Mailgun key", ("key-",), r"(?<![_-])key-[0-9a-f]{32}"),
    ("an NVIDIA key", ("nvapi-",), r"nvapi-[A-Za-z0-9_-]{60,80}"),
    ("a Pinecone key", ("pcsk_",), r"pcsk_[A-Za-z0-9_]{50,80}"),
    ("a Kaggle key", ("username",), r"(?i:username)\W{1,8}[A-Za-z0-9_-]{1,64}\W{1,12}key\W{1,8}([0-9a-f]{32})"),
    # The first of them in a row of letters, once for all: looked for from each, a long row takes time of its square.
    (
        "a JWT",
        ("eyj",),
        r"(?<![_-])(?>[A-Za-z0-9_-]*?(?=eyJ))(eyJ[A-Za-z0-9_-]{10,8192}+\.eyJ[A-Za-z0-9_-]{4,8192}+\.[A-Za-z0-9_-]{16,2048})",
    ),
)

# These may stand anywhere, whatever letter is before them.
_PARTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("a token of a URL", ("@",), r"://([0-9a-f]{40,128})@"),
    ("the password of a URL", ("@",), _PASSWORD_OF_URL.pattern),
    ("an Azure key", ("accountkey", "accesskey"), r"(?i:A(?:ccount|ccess)Key)\s?=\s?([A-Za-z0-9+/]{40,90}={0,2})"),
    ("a signed URL", ("sig=",), r"[?&;](?i:sig)=([A-Za-z0-9%+/_-]{32,1024}={0,2})"),
    ("a signed URL", ("signature=",), r"[?&;](?i:(?:X-Amz-|X-Goog-)?signature)=([A-Za-z0-9%+/_-]{32,1024}={0,2})"),
    ("a signed URL's token", ("security-token=",), r"(?i:X-Amz-Security-Token)=([A-Za-z0-9%+/_-]{32,4096}={0,2})"),
    ("a private key", ("mii",), r"MII[A-Za-z0-9+/]{3,4}IBA(?:DA|AK)[A-Za-z0-9+/=\s]{40,8192}"),
)

_PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_ENCODED_URL = re.compile(r"(?i:%3A%2F%2F)[^\s\"'<>\\&]{1,2048}")

# What stands where a password would, in examples and in messages.
_PLACEHOLDERS = frozenset({
    "none", "null", "nil", "true", "false", "empty", "redacted", "masked", "hidden", "secret", "password", "passwd",
    "pass", "token", "example", "changeme", "required", "optional", "unset", "missing", "invalid", "expired",
    "unknown", "default", "undefined", "bearer", "basic",
})  # fmt: skip

_WORD = re.compile(r"[A-Z][a-z]{2,}|[a-z]{4,}")


class _Shape(NamedTuple):
    """own: whether it has a prefix of its issuer's, after which nothing but random characters come."""

    kind: str
    expression: re.Pattern[str]
    own: bool


@cache
def _shapes() -> tuple[tuple[str, _Shape], ...]:
    """By each of their cues. Made when first asked for: they take 20 ms, which a pod whose records are plain saves."""
    made: list[tuple[str, _Shape]] = []
    for kind, cues, text in _TOKENS:
        shape = _Shape(kind, re.compile(rf"(?<![A-Za-z0-9])(?:{text})(?![A-Za-z0-9])"), True)
        made += ((cue, shape) for cue in cues)
    for kind, cues, text in _PARTS:
        shape = _Shape(kind, re.compile(text), False)
        made += ((cue, shape) for cue in cues)
    return tuple(made)


def tokens(text: str) -> Iterator[Span]:
    """What in a text has the shape of a token or key."""
    lower = text.lower()
    for shape in dict.fromkeys([shape for cue, shape in _shapes() if cue in lower]):
        for match in shape.expression.finditer(text):
            group = 1 if match.re.groups and match[1] is not None else 0
            shown = _is_example if shape.own else _is_word_for_one
            if not shown(match[group]):
                yield Span(match.start(group), match.end(group), shape.kind)
    yield from _private_keys(text)
    if "%40" in text:
        for url in _ENCODED_URL.finditer(text):
            inner = _PASSWORD_OF_URL.search(unquote(url[0]))
            if inner is not None and not _is_word_for_one(inner[1]):
                yield Span(url.start(), url.end(), "the password of a URL")


def is_placeholder(value: str) -> bool:
    """Whether what stands where a secret would is none: `${PASSWORD}`, `changeme`, `xyxy`."""
    return value[:1] in "*<${%[" or _is_word_for_one(value) or len(set(value)) < 3 or "(" in value


def _is_word_for_one(value: str) -> bool:
    bare = value.lower().strip(".!?:").replace("_", "").replace("-", "").removeprefix("your").removeprefix("my")
    return bare in _PLACEHOLDERS or len(set(value)) == 1


def _is_example(token: str) -> bool:
    """Whether it only shows how a token looks, as `ghp_xxxx…` and `xoxb-my-bot-token` do, or is a name: hf_aModel."""
    if len(set(token[-16:])) < 4 or token.endswith("EXAMPLE"):
        return True
    words = sum(len(word) for word in _WORD.findall(token))
    return words > 0.9 * len(token) or (token.islower() and not any(c.isdigit() for c in token))


def _private_keys(text: str) -> Iterator[Span]:
    start = 0
    while (begin := _PEM.search(text, start)) is not None:
        end = text.find("-----END ", begin.end())
        # Cut off: what follows is the key, as far as it goes.
        close = text.find("-----", end + 9) if end >= 0 else -1
        start = close + 5 if close >= 0 else len(text)
        yield Span(begin.start(), start, "a private key")
