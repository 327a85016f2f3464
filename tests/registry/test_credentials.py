"""Logins as docker and podman keep them."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlgen.registry.credentials import Credentials, Login
from mlgen.registry.failure import Failure, Kind
from mlgen.registry.reference import parse

HUB = "https://index.docker.io/v1/"


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def find(folder: Path, config: object, image: str = "ghcr.io/acme/churn:1") -> Login | None:
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return Credentials((folder / "config.json",)).find(parse(image))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH for credential helpers; `docker-credential-kept` knows one host, and Docker Hub."""
    known = 'ghcr.io) echo \'{"Username": "u", "Secret": "of-ghcr"}\';;'
    hub = f'{HUB}) echo \'{{"Username": "<token>", "Secret": "of-hub"}}\';;'
    script = f"read -r key\ncase $1:$key in get:{known} get:{hub} *) echo credentials not found in it; exit 1;; esac"
    for name, text in {
        "kept": script,
        "broken": "echo 'the keychain\033[2J is locked' >&2; exit 3",
        "silent": "echo secret-that-is-no-json",
        "halved": """echo '{"Username": "u", "Secret": "secret-that-is-\\\\ud800"}'""",
    }.items():
        (tmp_path / f"docker-credential-{name}").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / f"docker-credential-{name}").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("auths", "image", "user"),
    [
        ({"ghcr.io": auth("u:p")}, "ghcr.io/acme/churn:1", "u"),
        ({"https://ghcr.io": auth("u:p")}, "ghcr.io/acme/churn:1", "u"),
        ({"https://ghcr.io/v2/": auth("u:p")}, "ghcr.io/acme/churn:1", "u"),
        ({"ghcr.io": auth("u:p"), "ghcr.io/acme": auth("v:p")}, "ghcr.io/acme/churn:1", "v"),
        ({"ghcr.io": auth("u:p"), "ghcr.io/acme/churn": auth("v:p")}, "ghcr.io/acme/churn:1", "v"),
        ({"ghcr.io/acm": auth("v:p")}, "ghcr.io/acme/churn:1", None),
        ({"ghcr.io:443": auth("v:p")}, "ghcr.io/acme/churn:1", None),
        ({HUB: auth("u:p")}, "busybox:1", "u"),
        ({"docker.io": auth("u:p")}, "acme/churn:1", "u"),
        ({"ghcr.io": {"username": "u", "password": "p:q"}}, "ghcr.io/a:1", "u"),
        ({"ghcr.io": {}}, "ghcr.io/a:1", None),
        ({"ghcr.io": {"auth": ""}}, "ghcr.io/a:1", None),
        ({"ghcr.io": "text"}, "ghcr.io/a:1", None),
    ],
)
def test_a_login_is_found(tmp_path: Path, auths: object, image: str, user: str | None) -> None:
    found = find(tmp_path, {"auths": auths}, image)
    assert (found.user if found else None) == user


def test_passwords_have_colons_and_are_not_shown(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {"ghcr.io": auth("u:p:q")}})
    assert found == Login("u", "p:q")
    assert repr(found) == "Login()"


def test_programs_are_asked(tmp_path: Path, programs: Path) -> None:
    one = {"credHelpers": {"ghcr.io": "kept"}, "auths": {"quay.io": auth("v:p")}}
    assert find(tmp_path, one) == Login("u", "of-ghcr")
    assert find(tmp_path, one, "quay.io/a:1") == Login("v", "p")
    all_ = {"credsStore": "kept", "auths": {"ghcr.io": {}, "quay.io": auth("v:p")}}
    assert find(tmp_path, all_) == Login("u", "of-ghcr")
    assert find(tmp_path, all_, "quay.io/a:1") == Login("v", "p")
    assert find(tmp_path, all_, "other.io/a:1") is None
    assert find(tmp_path, all_, "busybox:1") == Login("", "", "of-hub")


def test_a_program_is_asked_once(tmp_path: Path, programs: Path) -> None:
    slow = programs / "docker-credential-slow"
    slow.write_text(f'#!/bin/sh\necho asked >> {tmp_path}/asked\necho \'{{"Username": "u", "Secret": "s"}}\'\n')
    slow.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "slow"}))
    credentials = Credentials((tmp_path / "config.json",))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(credentials.find, [parse(f"ghcr.io/acme/{n}:1") for n in range(20)]))
    assert found == [Login("u", "s")] * 20
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert "'s'" not in repr(credentials)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"credHelpers": {"ghcr.io": "nowhere"}},
            "docker-credential-nowhere, which keeps the login by docker's config",
        ),
        ({"credHelpers": {"ghcr.io": "broken"}}, "the keychain"),
        ({"credHelpers": {"ghcr.io": "silent"}}, "printed no Username and Secret"),
        ({"credHelpers": {"ghcr.io": "../evil"}}, "cannot be one"),
        ({"auths": {"ghcr.io": {"auth": "s3cr3t!"}}}, "is not base64"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"auths": {"ghcr.io": {"username": "s3cr3t\\ud800", "password": "x"}}}', "is not text"),
        ('{"auths": {"ghcr.io": {"identitytoken": "s3cr3t\\ud800"}}}', "is not text"),
        ({"credHelpers": {"ghcr.io": "halved"}}, "printed no Username and Secret"),
    ],
)
def test_what_cannot_be_read_is_told_without_what_it_holds(
    tmp_path: Path, programs: Path, config: object, said: str
) -> None:
    with pytest.raises(Failure) as told:
        find(tmp_path, config)
    assert told.value.kind is Kind.DENIED
    assert said in told.value.why
    assert "secret-that-is" not in told.value.why
    assert "s3cr3t" not in told.value.why


def test_files_are_looked_for_where_docker_and_podman_look(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/x", "REGISTRY_AUTH_FILE": "/r.json"}
    found = [str(path) for path in Credentials.of(environ).files]
    home = ["/h/.config/containers/auth.json", "/h/.docker/config.json"]
    assert found == ["/r.json", "/d/config.json", "/x/containers/auth.json", *home]
    assert Credentials.of({}).files == ()
    (tmp_path / "two.json").write_text(json.dumps({"auths": {"ghcr.io": auth("u:p")}}))
    (tmp_path / "one.json").write_text(json.dumps({"auths": {"quay.io": auth("v:p")}}))
    both = Credentials((tmp_path / "none.json", tmp_path / "one.json", tmp_path / "two.json"))
    assert both.find(parse("ghcr.io/a:1")) == Login("u", "p")
