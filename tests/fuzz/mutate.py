"""Changes to a file: of its text as an editor or a bad merge makes them, and of its data as no author would."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import yaml

from mlgen.spec.document import read
from tests.spec.mutations import mutated, walk

# Words of specs, of YAML, and of what tends to go wrong: names, references, gates, amounts, numbers, odd characters.
_WORDS = r"""
version name params inputs defaults tasks finally run use in out if after image code cpu memory disk shm gpu timeout
retries env secrets type default minimum maximum choices description uri digest optional max value labels owner kind
prepare train x a-b A_b http_proxy MLGEN_X params.epochs inputs.raw prepare.features prepare.rows train.auc train.train
params.nope x.y.z a. .b string integer number boolean json metric model dataset plot not and or true false null none
record
1 0 -1 9 10 1.0 0.5 1e3 1e999 1e-400 .5 5. 0x10 0o7 007 1_000 1:30 9007199254740993 99999999999999999999 .nan
.inf -.inf
30m 1h30m 0s 1h1h 99999999999h 2Gi 0Gi 2GB 18446744073709551616 9223372036854775807Ti 500m 0.0005 a100:2 default:0 :1 1:
s3://b/k s3://b/../k gs://b/ https://x az: ./tasks/t.yaml ../../etc data/labels.csv src / . .. sha256:0 @sha256:00 x@1
hf/token /token hf/ ghcr.io/acme/churn:1.8 UPPER/case :tag é ß 日本 😀 ﬁ ٣ $(params.x) $$ $x ${x}
yes no on off y n ~ ! !!str &a *a << | > - ? : , # % @ ` ' " [ ] { } --- ... \ \x41
"""
WORDS = [*_WORDS.split(), "\u202e", "\u200b", "\u0301", "\0", "\x85"]
GATES = [
    "params.epochs >= 1 and", 'params.target == "prod"', "not not not params.flag == true", "params.epochs < 1 < 2",
    "prepare.rows in [1, 2.5, 1e3]", "train.auc > params.min_auc or prepare.rows == 3", '"a" == "a"', "((((1 == 1))))",
    "params.list == 1", "train.model == 1", 'params.since in ["a", 1]', "(" * 40 + "1 == 1" + ")" * 40, "x", "", "1 ==",
]  # fmt: skip
_TOKEN = re.compile(r"[\w.$/@-]+|\s+|.", re.DOTALL)


def mutate(data: bytes, random_: random.Random) -> bytes:
    """A file that is a few changes away from another."""
    for _ in range(random_.choice([1, 1, 1, 2, 3, 8])):
        data = random_.choice(CHANGES)(data, random_)
        data = data[:20_000]
    return data


def _of_data(data: bytes, random_: random.Random) -> bytes:
    value: Any = read("x.yaml", data).data
    if not isinstance(value, dict) or not value:
        return _of_tokens(data, random_)
    value = mutated(value, random_)
    containers = [c for c in walk(value) if c]
    if containers and random_.random() < 0.7:
        here = random_.choice(containers)
        key = random_.choice(list(here) if isinstance(here, dict) else range(len(here)))
        word = random_.choice(random_.choice([WORDS, GATES]))
        if isinstance(here, dict) and random_.random() < 0.4:
            here[word] = here.pop(key)
        else:
            here[key] = word
    if random_.random() < 0.7:
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
    return json.dumps(value, ensure_ascii=random_.random() < 0.2, indent=random_.choice([None, 1])).encode()


def _of_order(data: bytes, random_: random.Random) -> bytes:
    """Some keys elsewhere in their map, some left out: mostly as valid as before."""
    value: Any = read("x.yaml", data).data
    maps = [c for c in walk(value) if isinstance(c, dict) and c]
    for here in maps:
        items = random_.sample(list(here.items()), len(here))
        here.clear()
        here.update(items[: len(items) - (random_.random() < 0.1)])
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode() if maps else data


def _of_words(data: bytes, random_: random.Random) -> bytes:
    """One word of the file in the place of another."""
    text = data.decode(errors="replace")
    words = list(re.finditer(r"[\w.$/-]+", text))
    if not words:
        return data
    one, other = random_.choice(words), random_.choice(words)
    return (text[: one.start()] + other[0] + text[one.end() :]).encode()


def _of_lines(data: bytes, random_: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    at, other = random_.randrange(len(lines)), random_.randrange(len(lines))
    match random_.randint(0, 4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = b" " * random_.randint(1, 4) + lines[at]
        case _:
            lines[at] = lines[at].lstrip()
    return b"".join(lines)


def _of_tokens(data: bytes, random_: random.Random) -> bytes:
    tokens = _TOKEN.findall(data.decode(errors="replace")) or [""]
    at = random_.randrange(len(tokens))
    word = random_.choice(WORDS)
    match random_.randint(0, 3):
        case 0:
            tokens[at] = word
        case 1:
            tokens.insert(at, f" {word} ")
        case 2:
            tokens[at : at + random_.randint(1, 6)] = []
        case _:
            tokens[at] = tokens[at] * random_.choice([2, 3, 70])
    return "".join(tokens).encode()


def _of_bytes(data: bytes, random_: random.Random) -> bytes:
    changed = bytearray(data or b"\n")
    at = random_.randrange(len(changed))
    match random_.randint(0, 3):
        case 0:
            changed[at] = random_.randrange(256)
        case 1:
            changed.insert(at, random_.choice(b"\t\n\r\0 :-#'\"[]{}&*!%@\xff\xc2\x85"))
        case 2:
            del changed[at : at + random_.randint(1, 20)]
        case _:
            changed = changed[:at]
    return bytes(changed)


CHANGES = (_of_data, _of_data, _of_order, _of_order, _of_words, _of_words, _of_lines, _of_tokens, _of_tokens, _of_bytes)
