"""Registries that are well, busy, broken and hostile: what is said of each, and what they get to know."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.registry.client import Registries
from mlgen.registry.credentials import Credentials
from mlgen.registry.failure import Failure, Kind
from mlgen.registry.reference import parse
from mlgen.registry.together import together
from mlgen.registry.tokens import authorization, challenges
from mlgen.registry.transport import Transport
from tests.registry.hub import (
    INDEX,
    PASSWORD,
    USER,
    Asked,
    Hub,
    Reply,
    certificate,
    digest,
    image,
    push,
    real,
    serve,
)

BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
V1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
ZERO = "sha256:" + "0" * 64


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def other() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


def registries(config: Path | None = None, tries: int = 1) -> Registries:
    return Registries(Transport({}), Credentials((config,) if config else ()), pauses=(0,) * (tries - 1))


def ask(hub: Hub, asked: Registries | None = None, tag: str = "1.8") -> str:
    return (asked or registries()).digest(parse(f"{hub.host}/acme/churn:{tag}"))


def failure(hub: Hub, asked: Registries | None = None) -> Failure:
    with pytest.raises(Failure) as told:
        ask(hub, asked)
    return told.value


def login(folder: Path, **auths: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(auths))
    return path


def of_user(folder: Path, host: str) -> Path:
    return login(folder, auths={host: {"auth": BASIC.removeprefix("Basic ")}})


def test_the_digest_is_that_of_the_index_and_its_bytes_are_verified(hub: Hub) -> None:
    hub.answer = lambda _: image()
    wanted = digest(image().body)
    assert ask(hub) == wanted
    assert hub.lines == ["HEAD /v2/acme/churn/manifests/1.8", f"GET /v2/acme/churn/manifests/{wanted}"]
    kinds = hub.asked[0].headers["Accept"].split(", ")
    assert kinds[0] == INDEX
    assert len(kinds) == 4
    assert not any("Authorization" in asked.headers for asked in hub.asked)


def test_a_digest_that_is_known_already_costs_one_request(hub: Hub) -> None:
    hub.answer = lambda _: image()
    wanted = digest(image().body)
    assert registries().digest(parse(f"{hub.host}/acme/churn:1.8"), wanted) == wanted
    assert hub.lines == ["HEAD /v2/acme/churn/manifests/1.8"]


@pytest.mark.parametrize("head", [Reply(405), Reply(200), Reply(404)])
def test_a_registry_that_answers_no_head_is_asked_for_the_bytes(hub: Hub, head: Reply) -> None:
    body = image().body
    hub.answer = lambda asked: head if asked.method == "HEAD" else Reply(200, body, {"Content-Type": INDEX})
    assert ask(hub) == digest(body)


def test_a_registry_that_lies_about_a_digest_is_not_believed(hub: Hub) -> None:
    hub.answer = lambda _: Reply(200, image().body, {"Content-Type": INDEX, "Docker-Content-Digest": ZERO})
    assert failure(hub).kind is Kind.ODD
    assert ZERO in failure(hub).why


def odd(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda _: reply


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(404), Kind.UNKNOWN, "has no acme/churn:1.8"),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), Kind.ODD, "sends no image, but text/html"),
        (Reply(200, b"x", {"Content-Type": V1}), Kind.ODD, "manifest.v1+prettyjws"),
        (Reply(200, b"x" * ((4 << 20) + 1), {"Content-Type": INDEX}), Kind.ODD, "more than 4 MiB"),
        (Reply(200, b"", {"Content-Type": INDEX}, endless=True), Kind.ODD, "more than 4 MiB"),
        (Reply(418), Kind.ODD, "answers 418"),
        (Reply(403), Kind.DENIED, "does not let everybody read acme/churn, or has none (403)"),
        (Reply(401), Kind.DENIED, "wants a login, and none is kept here"),
        (Reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}), Kind.DENIED, "none is kept here"),
        (Reply(401, b"", {"WWW-Authenticate": 'Bearer realm="ftp://x/"'}), Kind.ODD, "no http URL"),
        (Reply(401, b"", {"WWW-Authenticate": 'Bearer realm="http://u:p@127.0.0.1:1/"'}), Kind.ODD, "with credentials"),
        (Reply(401, b"", {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:99999/"'}), Kind.ODD, "no http URL"),
        (Reply(401, b"", {"WWW-Authenticate": 'Bearer realm="http://169.254.169.254/"'}), Kind.ODD, "169.254.169.254"),
        (Reply(302, b"", {"Location": "/v2/again"}), Kind.ODD, "redirects more than 5 times"),
        (Reply(302, b"", {"Location": "file:///etc/passwd"}), Kind.ODD, "no http URL"),
        (Reply(500), Kind.UNREACHABLE, "fails (500)"),
        (Reply(429, b"", {"Retry-After": "3600"}), Kind.UNREACHABLE, "too many requests"),
    ],
)  # fmt: skip
def test_what_is_no_answer_says_why(hub: Hub, reply: Reply, kind: Kind, said: str) -> None:
    hub.answer = odd(reply)
    told = failure(hub)
    assert said in told.why
    assert told.kind is kind


def test_bytes_that_would_unpack_to_more_are_not_unpacked(hub: Hub) -> None:
    bomb = gzip.compress(b"0" * (64 << 20))
    hub.answer = odd(Reply(200, bomb, {"Content-Type": INDEX, "Content-Encoding": "gzip"}))
    assert ask(hub) == digest(bomb)  # of what was sent, as it was sent
    assert hub.asked[0].headers["Accept-Encoding"] == "identity"


def test_who_is_busy_is_asked_again(hub: Hub) -> None:
    replies = [Reply(429, b"", {"Retry-After": "0"}), Reply(503), image(), image()]
    hub.answer = lambda _: replies.pop(0)
    assert ask(hub, registries(tries=3)) == digest(image().body)


def test_who_asks_for_a_longer_pause_is_not_waited_for(hub: Hub) -> None:
    hub.answer = odd(Reply(429, b"", {"Retry-After": "3600"}))
    assert failure(hub, registries(tries=4)).kind is Kind.UNREACHABLE
    assert len(hub.asked) == 1


def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(Failure) as told:
        registries(tries=4).digest(parse("127.0.0.1:1/acme/churn:1"))
    assert told.value.kind is Kind.UNREACHABLE
    assert "refused" in told.value.why


def test_https_is_spoken_with_all_but_this_machine(hub: Hub) -> None:
    _, _, port = hub.host.partition(":")
    name = f"127.0.0.1.nip.invalid:{port}"
    with pytest.raises(Failure, match="there is no host"):
        registries().digest(parse(f"{name}/acme/churn:1"))
    assert hub.asked == []


def test_a_token_is_fetched_with_the_login_and_used(hub: Hub, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(200, b'{"token": "t0ken"}' if asked.headers.get("Authorization") == BASIC else b"{}")
        if asked.headers.get("Authorization") == "Bearer t0ken":
            return image()
        realm = f'Bearer realm="http://{hub.host}/token?x=1",service="a, b",scope="repository:acme/churn:pull"'
        return Reply(401, b"", {"WWW-Authenticate": realm})

    hub.answer = answer
    assert ask(hub, registries(of_user(tmp_path, hub.host))) == digest(image().body)
    assert [asked.method for asked in hub.asked] == ["HEAD", "GET", "HEAD", "GET"]  # the token serves both
    query = parse_qs(urlsplit(hub.asked[1].path).query)
    assert query == {"x": ["1"], "service": ["a, b"], "scope": ["repository:acme/churn:pull"]}
    told = failure(hub)  # without a login
    assert (told.kind, "hands out no token" in told.why) == (Kind.ODD, True)


def test_an_identity_token_is_exchanged(hub: Hub, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            form = parse_qs(asked.body.decode())
            fine = (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["1d"])
            return Reply(200, b'{"access_token": "t0ken"}') if fine and asked.method == "POST" else Reply(400)
        fine = asked.headers.get("Authorization") == "Bearer t0ken"
        return image() if fine else Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{hub.host}/token"'})

    hub.answer = answer
    config = login(tmp_path, auths={hub.host: {"auth": base64.b64encode(b"00:").decode(), "identitytoken": "1d"}})
    assert ask(hub, registries(config)) == digest(image().body)


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "", "é", 5, None])
def test_a_token_that_is_no_header_is_refused(hub: Hub, token: object) -> None:
    challenge = Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{hub.host}/token"'})
    reply = Reply(200, json.dumps({"token": token}).encode())
    hub.answer = lambda asked: reply if asked.path.startswith("/token") else challenge
    assert "hands out no token" in failure(hub).why


def test_a_refused_login_is_told_and_never_shown(hub: Hub, tmp_path: Path) -> None:
    challenge = Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{hub.host}/token"'})
    hub.answer = lambda asked: Reply(401) if asked.path.startswith("/token") else challenge
    asked = registries(of_user(tmp_path, hub.host))
    told = failure(hub, asked)
    assert told.kind is Kind.DENIED
    assert "refuses the login that is kept here" in told.why
    for shown in (repr(told), told.why, told.fix, repr(asked), repr(asked.credentials.find(parse(f"{hub.host}/a:1")))):
        assert PASSWORD not in shown
        assert BASIC.removeprefix("Basic ") not in shown


def test_a_redirect_to_another_host_carries_no_login(hub: Hub, other: Hub, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != BASIC:
            return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        return Reply(307, b"", {"Location": f"http://{other.host}{asked.path}"})

    hub.answer, other.answer = answer, lambda _: image()
    assert ask(hub, registries(of_user(tmp_path, hub.host))) == digest(image().body)
    assert other.asked
    assert not any("Authorization" in asked.headers for asked in other.asked)


@pytest.mark.parametrize("who", ["password", "password, asked for before", "identity token", "nobody"])
@pytest.mark.parametrize("challenge", ['Bearer realm="http://HOST/token",service="x"', 'Basic realm="x"'])
def test_a_login_is_not_for_whom_a_registry_leads_to(
    hub: Hub, other: Hub, tmp_path: Path, who: str, challenge: str
) -> None:
    def lead(asked: Asked) -> Reply:
        if who == "password, asked for before" and asked.headers.get("Authorization") != BASIC:
            return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        return Reply(307, b"", {"Location": f"http://{other.host}{asked.path}"})

    hub.answer = lead
    other.answer = lambda asked: (
        Reply(200, b'{"token": "t"}')
        if asked.path.startswith("/token")
        else Reply(401, b"", {"WWW-Authenticate": challenge.replace("HOST", other.host)})
    )
    kept = {"auth": BASIC.removeprefix("Basic ")} | ({"identitytoken": "x"} if who == "identity token" else {})
    config = None if who == "nobody" else login(tmp_path, auths={hub.host: kept})
    with pytest.raises(Failure, match="which wants a login") as failure:
        ask(hub, registries(config))
    assert failure.value.kind is Kind.DENIED
    assert other.asked
    assert not any(asked.path.startswith("/token") or "Authorization" in asked.headers for asked in other.asked)


def test_a_public_registry_leads_nobody_to_this_machine(hub: Hub) -> None:
    """A registry on this machine may name another port of it; one elsewhere may not."""
    transport = Transport({})
    hub.answer = lambda _: image()
    assert transport.ask("GET", f"http://{hub.host}/v2/", {}, inside=True).status == 200
    assert transport.is_inside(f"http://{hub.host}/v2/")
    with pytest.raises(Failure, match="on this machine's own network"):
        transport.ask("GET", f"http://{hub.host}/v2/", {}, inside=False)
    with pytest.raises(Failure, match="on this machine's own network"):
        transport.ask("GET", f"http://localhost:{hub.host.partition(':')[2]}/v2/", {}, inside=False)
    assert len(hub.asked) == 1  # the others were let go before a word was said


def test_a_proxy_is_used_and_passed_by_as_the_environment_says(hub: Hub, other: Hub) -> None:
    hub.answer = other.answer = lambda _: image()
    Registries(Transport({"http": f"http://{other.host}"}), Credentials()).digest(parse(f"{hub.host}/a/b:1"))
    assert other.lines[0] == f"HEAD http://{hub.host}/v2/a/b/manifests/1"
    other.asked.clear()
    Registries(Transport({"http": f"http://{other.host}", "no": "127.0.0.1"}), Credentials()).digest(
        parse(f"{hub.host}/a/b:1")
    )
    assert (other.asked, len(hub.asked)) == ([], 2)


def test_https_is_not_left(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate(tmp_path)
    with serve(made) as secure:
        url = f"https://{secure.host}/v2/"
        with pytest.raises(Failure, match=r"the certificate of https://127.0.0.1:[0-9]+ is not trusted"):
            Transport({}).ask("GET", url, {}, inside=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        secure.answer = lambda _: Reply(302, b"", {"Location": f"http://{hub.host}/v2/"})
        with pytest.raises(Failure, match="redirects from https to http"):
            Transport({}).ask("GET", url, {}, inside=True)
        secure.answer = lambda _: Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{hub.host}/token"'})
        transport = Transport({})
        answer = transport.ask("GET", url, {}, inside=True)
        with pytest.raises(Failure, match="hands out its tokens without https"):
            authorization(answer, "repository:a:pull", None, transport)
    with pytest.raises(Failure, match="does not speak https") as told:
        Transport({}).ask("GET", f"https://{hub.host}/v2/", {}, inside=True)
    assert told.value.fix.startswith(f"--insecure-registry {hub.host}")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Bearer realm="https://a/t",service="a, b"', [("bearer", {"realm": "https://a/t", "service": "a, b"})]),
        ('Basic realm="x", Bearer realm="y"', [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        ('bearer REALM=y , scope="a:b:pull,push"', [("bearer", {"realm": "y", "scope": "a:b:pull,push"})]),
        ("Negotiate", []),
        ("Basic", [("basic", {})]),
        ('Bearer realm=, ,=,x, scope="', [("bearer", {"scope": '"'})]),
        (r'Bearer realm="a \"b\" \\c"', [("bearer", {"realm": r'a "b" \c'})]),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(scheme, dict(given)) for scheme, given in challenges([header])] == found


@given(
    st.lists(st.text(alphabet=st.characters(max_codepoint=255)) | st.from_regex(r"\A(Bearer|Basic) [a-z=\", \\]*\Z"))
)
def test_no_challenge_is_a_bug(headers: list[str]) -> None:
    assert all(scheme in ("basic", "bearer") for scheme, _ in challenges(headers))


HOSTILE = [
    "http://[",
    "http://[::1",
    "//",
    "http:",
    "javascript:alert(1)",
    "http://u:p@127.0.0.1:1/",
    "http://127.0.0.1:x/",
    "http://a\x7fb/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://0.0.0.0:1/",
    "http://224.0.0.1/",
    "http://x.invalid/é",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_no_place_that_a_registry_names_is_a_bug(hub: Hub, url: str) -> None:
    for reply in (
        Reply(302, b"", {"Location": url}),
        Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{url}"'}),
    ):
        hub.answer = odd(reply)
        with pytest.raises(Failure) as told:
            registries().digest(parse(f"{hub.host}/acme/churn:1"))
        assert told.value.kind in (Kind.ODD, Kind.UNREACHABLE)
        assert "u:p" not in told.value.why
        assert len(hub.asked) <= 10


def test_who_hangs_holds_up_nobody_else() -> None:
    stopped = threading.Event()

    def ask(name: str) -> str:
        if name == "broken":
            raise ValueError(name)
        if name.startswith("hangs"):
            stopped.wait(300)
        return name

    names = ["one", "hangs", "two", "hangs-too", "broken", "three"]
    try:
        answers = dict(together(ask, names, at_once=3, seconds=5))
    finally:
        stopped.set()
    assert isinstance(answers.pop("broken"), ValueError)
    assert answers == {"one": "one", "hangs": None, "two": "two", "hangs-too": None, "three": "three"}


def test_a_proxy_gets_its_login_and_is_not_shown(hub: Hub, other: Hub) -> None:
    other.answer = lambda _: image()
    asked = Registries(Transport({"http": f"http://me:s%20cret@{other.host}"}), Credentials())
    asked.digest(parse(f"{hub.host}/a/b:1"))
    (sent,) = (value for name, value in other.asked[0].headers.items() if name.lower() == "proxy-authorization")
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:s cret"
    for proxy, said in (
        ("socks5://me:s3cret@127.0.0.1:1", "is none for http"),
        ("http://me:s3cret@127.0.0.1:1", "proxy"),
    ):
        asked = Registries(Transport({"http": proxy}), Credentials(), pauses=())
        with pytest.raises(Failure) as told:
            asked.digest(parse(f"{hub.host}/a/b:1"))
        assert (told.value.kind, said in told.value.why) == (Kind.UNREACHABLE, True)
        assert "s3cret" not in told.value.why + told.value.fix


@pytest.mark.parametrize("host", ["a..b.invalid", "-.invalid", "x" * 80 + ".invalid", "127.0.0.1:99999", "127.0.0.1:0"])
def test_names_that_no_host_has_are_no_bug(host: str) -> None:
    with pytest.raises(Failure) as told:
        registries().digest(parse(f"{host}/a/b:1"))
    assert told.value.kind in (Kind.UNREACHABLE, Kind.ODD)


def test_tags_are_listed(hub: Hub) -> None:
    hub.answer = odd(Reply(200, b'{"name": "acme/churn", "tags": ["1", "2", 3]}'))
    assert registries().tags(parse(f"{hub.host}/acme/churn:9")) == ("1", "2")
    assert hub.lines == ["GET /v2/acme/churn/tags/list?n=1000"]
    for body in (b"", b"[]", b'{"tags": null}', b"[" * 100_000):
        hub.answer = odd(Reply(200, body))
        assert registries().tags(parse(f"{hub.host}/acme/churn:9")) == ()
    hub.answer = odd(Reply(404))
    assert registries().tags(parse(f"{hub.host}/acme/churn:9")) is None


def test_a_real_registry_with_a_login(tmp_path: Path) -> None:
    with real(tmp_path, login=True) as host:
        first = push(host, "acme/churn", "1.8", "one", BASIC)
        reference = parse(f"{host}/acme/churn:1.8")
        user = registries(of_user(tmp_path, host))
        assert user.digest(reference) == first
        second = push(host, "acme/churn", "1.8", "two", BASIC)
        assert user.digest(reference, first) == second
        assert user.tags(reference) == ("1.8",)
        with pytest.raises(Failure) as nobody:
            registries().digest(reference)
        wrong = login(tmp_path, auths={host: {"auth": base64.b64encode(b"ci:wrong").decode()}})
        with pytest.raises(Failure) as stranger:
            registries(wrong).digest(reference)
        with pytest.raises(Failure) as lost:
            user.digest(parse(f"{host}/acme/churn:9"))
    assert (nobody.value.kind, stranger.value.kind, lost.value.kind) == (Kind.DENIED, Kind.DENIED, Kind.UNKNOWN)
    assert "the login that is kept here" in stranger.value.why
