"""What a reference means."""

from __future__ import annotations

import pytest

from mlgen.registry.reference import Reference, parse, with_registry


@pytest.mark.parametrize(
    ("reference", "host", "repository", "tag", "api"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", "registry-1.docker.io"),
        ("acme/churn:1", "docker.io", "acme/churn", "1", "registry-1.docker.io"),
        ("docker.io/busybox:1", "docker.io", "library/busybox", "1", "registry-1.docker.io"),
        ("index.docker.io/acme/churn:1", "docker.io", "acme/churn", "1", "registry-1.docker.io"),
        ("ghcr.io/acme/a/b:v1.0_x", "ghcr.io", "acme/a/b", "v1.0_x", "ghcr.io"),
        ("localhost/a:1", "localhost", "a", "1", "localhost"),
        ("localhost:5000/a", "localhost:5000", "a", "latest", "localhost:5000"),
        ("Registry/a:1", "Registry", "a", "1", "Registry"),
        ("10.0.0.1:5000/a:1", "10.0.0.1:5000", "a", "1", "10.0.0.1:5000"),
    ],
)
def test_a_reference_is_read(reference: str, host: str, repository: str, tag: str, api: str) -> None:
    found = parse(reference)
    assert found == Reference(host, repository, tag)
    assert found.api_host == api
    assert with_registry(reference).startswith(f"{host}/{repository}")


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "A:1",
        "a:",
        "a b",
        "a@sha256:" + "0" * 64,
        "a:1@sha256:" + "0" * 64,
        "http://a/b",
        "u:p@a/b",
        "a/../b",
        "a\n",
    ],
)
def test_what_is_no_tag_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="is not an image by its tag"):
        parse(reference)


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("LOCALHOST:5000", True), ("127.0.0.1:5000", True), ("127.8.0.1", True), ("10.0.0.1", False),
     ("localhost.evil.example", False), ("127.0.0.1.evil.example:80", False)],
)  # fmt: skip
def test_this_machine_is_known(host: str, local: bool) -> None:
    assert Reference(host, "a", "1").is_local is local
