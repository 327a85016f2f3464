"""A commit's files, read from its trees: the same answers as of the work tree, and no stranger's tree is trusted."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.worktree import MAX_SPEC_BYTES, Snapshot, Worktree
from tests.revisions import blob, commit, lay, repository, run_git, tree


def snapshot(root: Path, revision: str = "HEAD", below: str = "") -> Snapshot:
    found = git.discover(root)
    assert found is not None
    oid = found.resolve(revision)
    assert oid is not None
    return Snapshot(found, oid, below)


def worktree(root: Path, below: str = "") -> Worktree:
    found = git.discover(root)
    assert found is not None
    return Worktree(root / below, boundary=root, tracked=lambda folder: found.list_files(root / below / folder))


LINKS = {"out": "../../outside", "up": "..", "in": "src", "round": "round", "lost": "nowhere", "file": "src/a.py",
         "far": "../shared/../ml/in/deep", "abs": "/etc/passwd", "over": "in/../../../etc"}  # fmt: skip
PATHS = [
    ".", "", "src", "src/", "src/a.py", "src/a.py/", "src/a.py/x", "src/deep", "src/no", "no/x", "no/../src",
    "../shared",
    "../..", "../no", "../../etc", "no/../../../x", *LINKS, *(f"{name}/a.py" for name in LINKS),
    "in/../../shared/lib.py", "far/lib.py", "./src/./a.py", "src/../src/deep/lib.py", "../ml", "../ml/src/a.py", "sub",
]  # fmt: skip


def test_a_path_leads_where_it_leads_in_the_work_tree(tmp_path: Path) -> None:
    root = tmp_path / "r"
    lay(root, {"shared/lib.py": "1", "ml/src/a.py": "2", "ml/src/deep/lib.py": "3"})
    for name, target in LINKS.items():
        (root / "ml" / name).symlink_to(target)
    repository(root, {})
    here, there = worktree(root, "ml"), snapshot(root, below="ml")
    for path in PATHS:
        assert there.kind(path) == here.kind(path), path
        if (root / "ml" / path).parent.exists():
            assert there.beside(path) == here.beside(path), path
        if here.kind(path) != "escape" and "no/.." not in path:
            assert there.exists(path) == here.exists(path), path
    assert there.read("in/a.py") == b"2"
    for path in ("out", "src", "no", "abs"):
        with pytest.raises(ValueError, match=r"outside|no file"):
            there.read(path)


def _goes_round(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


PARTS = st.sampled_from(["a", "b", "c", "..", "."])
ANY_PATH = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), max_size=4),
    links=st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map("/".join), ANY_PATH, max_size=4),
    paths=st.lists(ANY_PATH, min_size=1, max_size=12),
)
def test_any_links_lead_where_they_lead_in_the_work_tree(
    tmp_path: Path, files: list[str], links: dict[str, str], paths: list[str]
) -> None:
    root = tmp_path / "r"
    shutil.rmtree(root, ignore_errors=True)
    (root / "ml").mkdir(parents=True)
    for path in [*files, "../c/b"]:
        with contextlib.suppress(OSError):
            lay(root / "ml", {path: path})
    for path, target in links.items():
        with contextlib.suppress(OSError):
            (root / "ml" / path).symlink_to(target)
    lay(root, {"ml/mlgen.yaml": ""})
    repository(root, {})
    assume(not any(_goes_round(root / "ml" / path) for path in links))  # Pythons differ in what is beside such a one
    here, there = worktree(root, "ml"), snapshot(root, below="ml")
    assert {path: there.kind(path) for path in [*paths, *links]} == {path: here.kind(path) for path in [*paths, *links]}
    for path in paths:
        if here.kind(path) == "file":
            assert there.read(path) == (root / "ml" / path).resolve().read_bytes()


NAMES = st.text(alphabet=string.ascii_letters + " é.-_", min_size=1, max_size=8).filter(
    lambda name: name.strip(". ") == name and not name.startswith("-")
)
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.text(max_size=50), min_size=1, max_size=8
)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES)
def test_a_clean_work_tree_and_its_commit_have_the_same_digests(
    tmp_path: Path, object_format: str, files: dict[str, str]
) -> None:
    root = tmp_path / "r"
    shutil.rmtree(root, ignore_errors=True)
    paths = [path for path in files if not any(other.startswith(f"{path}/") for other in files)]
    folded = {path.casefold() for path in paths}
    laid = {f"src/{path}": files[path] for path in paths if len(folded) == len(paths)} or {"src/a": "1"}
    repository(root, laid, object_format=object_format)
    here, there = worktree(root), snapshot(root)
    assert there.listing("src") == here.listing("src")
    assert there.sha256("src") == here.sha256("src")
    assert {path: there.sha256(path) for path in laid} == {path: here.sha256(path) for path in laid}
    copies = tmp_path / "copies"
    shutil.rmtree(copies, ignore_errors=True)
    assert {name: path.read_text() for name, path in there.files("src", copies).items()} == {
        name: path.read_text() for name, path in here.files("src").items()
    }


def test_nothing_of_the_work_tree_or_the_index_is_read(tmp_path: Path) -> None:
    root = tmp_path / "r"
    first = repository(
        root, {"src/a.py": "1", "src/gone.py": "2", ".gitattributes": "*.py filter=evil text eol=crlf\n"}
    )
    lay(root, {"src/a.py": "changed", "src/new.py": "3"})
    (root / "src/gone.py").unlink()
    run_git(root, "add", "src/new.py")
    run_git(root, "config", "filter.evil.smudge", "touch ran; cat")
    run_git(root, "config", "filter.evil.process", "touch ran; cat")
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    found = snapshot(root, first)
    assert set(found.listing("src")) == {"a.py", "gone.py"}
    assert found.read("src/a.py") == b"1"
    assert found.files("src", tmp_path / "c")["a.py"].read_bytes() == b"1"
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before
    assert not (root / "ran").exists()


def test_what_no_digest_could_keep_is_refused_as_in_a_work_tree(tmp_path: Path) -> None:
    root = tmp_path / "r"
    repository(root, {"data/a": "1", "tab/a\tb": "1", "code/b": "2", "ml/x": ""})
    (root / "code/link").symlink_to("b")
    Path(os.fsdecode(os.fsencode(root) + b"/data/caf\xe9")).write_bytes(b"")
    commit(root)
    found = snapshot(root)
    for folder, said in {"data": "not UTF-8", "tab": "control character", "code": '"code/link" is a link'}.items():
        for ask in (found.listing, found.sha256):
            with pytest.raises(ValueError, match=said):
                ask(folder)
    for path in (".", "", "..", "no"):
        with pytest.raises(ValueError, match=r"holds the project|outside|not there"):
            found.sha256(path)
    with pytest.raises(ValueError, match="holds the project"):
        snapshot(root, below="ml").sha256("../ml")


def test_another_repository_is_refused(tmp_path: Path) -> None:
    root, other = tmp_path / "r", tmp_path / "o"
    repository(other, {"b": "1"})
    repository(root, {"src/a": "1"})
    run_git(root, "submodule", "add", "-q", str(other), "src/sub")
    commit(root)
    found = snapshot(root)
    assert (found.kind("src/sub"), found.kind("src/sub/b")) == ("folder", None)
    for ask in (found.listing, found.sha256):
        with pytest.raises(ValueError, match='"src/sub" is another repository'):
            ask("src")
        with pytest.raises(ValueError, match='"src/sub" is another repository'):
            ask("src/sub")


@pytest.mark.parametrize(
    ("mode", "name", "said"),
    [
        ("100644", "..", "no folder may hold"),
        ("100644", ".", "no folder may hold"),
        ("100644", ".git", "no folder may hold"),
        ("100644", ".GIT", "no folder may hold"),
        ("100644", "../../etc/x", "no folder may hold"),
        ("100644", "/etc/x", "no folder may hold"),
        ("100644", "a//b", "no folder may hold"),
        ("100644", "src/../x", "no folder may hold"),
        ("100644", "src", "a file and a folder|no checkout"),
    ],
)
def test_a_tree_that_was_made_by_hand_is_refused(tmp_path: Path, mode: str, name: str, said: str) -> None:
    root = tmp_path / "r"
    repository(root, {"src/a": "1"})
    oid = blob(root, "x")
    made = tree(root, [(mode, oid, name), ("100644", oid, "src/b"), ("100644", oid, "z")])
    with pytest.raises(CannotAnswer, match="cannot be used") as refused:
        snapshot(root, made).kind("z")
    assert refused.value.code == "broken-tree"
    assert re.search(said, refused.value.why)


def test_a_device_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    root = tmp_path / "r"
    repository(root, {"src/a": "1"})
    made = tree(root, [(mode, blob(root, "x"), name) for mode, name in (("020644", "a"), ("060644", "b"))])
    found = snapshot(root, made)  # git takes such modes for submodules
    for path in "ab":
        with pytest.raises(ValueError, match="no file"):
            found.read(path)
        with pytest.raises(ValueError, match="another repository"):
            found.sha256(path)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "r"
    repository(root, {"a": "1"})
    made = tree(root, [("100644", blob(root, text), "a") for text in "12"])
    with pytest.raises(CannotAnswer, match="cannot be used"):
        snapshot(root, made).read("a")


def test_trees_that_mean_more_than_any_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgen.worktree.index.MAX_ENTRIES", 10_000)
    root = tmp_path / "r"
    repository(root, {"a": "1"})
    oid, mode = blob(root, "x"), "100644"
    for _ in range(9):  # 10 to the 9th files
        made = tree(root, [(mode, oid, str(digit)) for digit in range(10)])
        oid, mode = run_git(root, "rev-parse", f"{made}^{{tree}}"), "40000"
    with pytest.raises(CannotAnswer, match="cannot be used") as refused:
        snapshot(root, made).kind("0")
    assert "10,000 files" in refused.value.why


@pytest.mark.parametrize("wide", [10, 1])
def test_trees_with_paths_longer_than_any_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide: int
) -> None:
    """However few the files are: of one path alone, all the folders on its way are kept."""
    monkeypatch.setattr("mlgen.worktree.index.MAX_PATH_MIB", 1)
    root = tmp_path / "r"
    repository(root, {"a": "1"})
    oid, mode = blob(root, "x"), "100644"
    for depth in range(120):
        names = [str(digit) for digit in range(wide)] if depth < 4 else ["f" * 250]
        made = tree(root, [(mode, oid, name) for name in names])
        oid, mode = run_git(root, "rev-parse", f"{made}^{{tree}}"), "40000"
    with pytest.raises(CannotAnswer, match="cannot be used") as refused:
        snapshot(root, made).kind("0")
    assert "1 MiB" in refused.value.why


def test_a_file_of_any_size_is_hashed_and_read_no_further_than_a_spec(tmp_path: Path) -> None:
    root = tmp_path / "r"
    data = b"0123456789abcdef" * ((17 << 20) // 16)
    lay(root, {"src/a": "1"})
    (root / "src/big").write_bytes(data)
    (root / "src/spec").write_bytes(data[: MAX_SPEC_BYTES + 5])
    repository(root, {})
    found = snapshot(root)
    assert found.listing("src")["big"] == hashlib.sha256(data).hexdigest()
    assert len(found.read("src/big")) == len(found.read("src/spec")) == MAX_SPEC_BYTES + 1
    assert found.place("src/big", tmp_path / "c").read_bytes() == data


def test_a_file_that_lfs_keeps_has_the_digest_of_its_content(tmp_path: Path) -> None:
    root = tmp_path / "r"
    data = b"weights"
    oid = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    first = repository(root, {"data/model.bin": pointer, "data/b": "1"})
    found = snapshot(root)
    assert found.sha256("data/model.bin") == f"sha256:{oid}"
    with pytest.raises(CannotAnswer, match="its content is not here") as refused:
        found.place("data/model.bin", tmp_path / "c")
    assert refused.value.fix == f"git lfs fetch origin {first}"
    kept = root / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    lay(root, {kept.relative_to(root).as_posix(): "weights"})
    assert found.place("data/model.bin", tmp_path / "d").read_bytes() == data
    kept.write_bytes(b"forged")
    with pytest.raises(CannotAnswer, match="its content is not here"):
        found.place("data", tmp_path / "e")


def test_a_partial_clone_is_told_and_nothing_is_fetched(tmp_path: Path) -> None:
    first = tmp_path / "first"
    repository(first, {"a": "1", "src/b": "2"})
    run_git(first, "config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{first}", "part")
    found = snapshot(tmp_path / "part")
    assert found.kind("src/b") == "file"
    with pytest.raises(CannotAnswer) as refused:
        found.listing("src")
    assert (refused.value.code, refused.value.fix) == ("partial-clone", "git fetch --refetch --no-filter origin")
    run_git(tmp_path / "part", *refused.value.fix.split()[1:])
    assert snapshot(tmp_path / "part").read("src/b") == b"2"


def test_a_clone_without_trees_is_told_too(tmp_path: Path) -> None:
    first = tmp_path / "first"
    repository(first, {"a": "1", "src/b": "2"})
    run_git(first, "config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--no-checkout", "--filter=tree:0", f"file://{first}", "part")
    with pytest.raises(CannotAnswer) as refused:
        snapshot(tmp_path / "part").kind("a")
    assert refused.value.code == "partial-clone"
    run_git(tmp_path / "part", *refused.value.fix.split()[1:])
    assert snapshot(tmp_path / "part").read("src/b") == b"2"


def test_a_lost_object_is_told(tmp_path: Path) -> None:
    root = tmp_path / "r"
    repository(root, {"a": "1", "src/b": "2"})
    for name in ("HEAD:a", "HEAD:src"):
        oid = run_git(root, "rev-parse", name)
        (root / ".git/objects" / oid[:2] / oid[2:]).unlink()
        with pytest.raises(CannotAnswer) as refused:
            snapshot(root).read("a")
        assert refused.value.code == "git-refused"


def test_a_project_that_the_commit_does_not_have_is_empty(tmp_path: Path) -> None:
    root = tmp_path / "r"
    repository(root, {"a": "1"})
    found = snapshot(root, below="ml/deep")
    assert [found.kind(p) for p in (".", "mlgen.yaml", "../../a", "../../..")] == [None, None, "file", "escape"]
    assert found.beside("pipelines/") == []
