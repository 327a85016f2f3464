"""`mlgen init [DIR]`: a repository in which check, run and render succeed at once."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from mlgen import __version__
from mlgen.cli import schema
from mlgen.cli.main import new_app
from mlgen.cli.projects.argocd import argocd_files
from mlgen.cli.projects.workspace import PROJECT_FILE, Workspace
from mlgen.cli.render import OUT
from mlgen.diagnostic import Misuse, visible
from mlgen.render.files import Scope, write
from mlgen.store import disk

app = new_app()

GUIDES = "https://github.com/mlgen/mlgen/tree/main/generator/guides"
NEXT = f"""\
Next:
  git init && git add . && git commit -m "mlgen init"      unless this lies in a repository already
  mlgen check                             what is wrong, with place and mending
  mlgen run pipelines/line.yaml           run it on this machine, with records
  mlgen lineage line/fit/model            where the model came from
  mlgen policy test                       whether the rules in policies/ do what their cases say
Then, when mlgen.yaml names your own repository, namespace, bucket, ledger and image:
  mlgen lock                              the images' digests, in mlgen.lock
  mlgen render                            the manifests, below tekton/: commit them
  kubectl apply -f tekton/dev/cluster/    once, by who keeps the cluster
  kubectl apply -f tekton/dev/argocd/     once, by who keeps Argo CD
Guides: {GUIDES}
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made when it is not there.")] = Path(),
) -> None:
    """Make a working repository in a folder: mlgen.yaml, a pipeline that runs, schemas, what Argo CD is told.

    A file that is there already is never touched.
    """
    if (folder / PROJECT_FILE).exists():
        raise Misuse(
            "already-there",
            f"{folder / PROJECT_FILE} exists: this is a project already",
            fix="change it, or name another folder",
        )
    files = dict(_files())
    kept = sorted(name for name in files if (folder / name).exists())
    # mlgen.yaml comes last: until it is there, the command can be repeated.
    for name in sorted(files.keys() - set(kept), key=lambda name: (name == PROJECT_FILE, name)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, files[name])
    for name in sorted([*(files.keys() - set(kept)), *_rendered(folder)]):
        sys.stdout.write(visible(f"wrote {folder / name}") + "\n")
    for name in kept:
        sys.stdout.write(visible(f"kept  {folder / name}, which was there") + "\n")
    sys.stdout.write(NEXT)


def _rendered(folder: Path) -> list[str]:
    """Write what Argo CD is told, as `mlgen render` writes it; the paths."""
    workspace = Workspace(folder.resolve())
    files = argocd_files(workspace, workspace.project.rendered)
    scope = Scope(tuple(one.name for one in workspace.project.rendered), frozenset({PROJECT_FILE}))
    return [f"{OUT}/{path}" for path in write(workspace.own(OUT), files, scope).written]


def _write(path: Path, data: bytes) -> None:
    """Make a new file, whole or not at all: half a file would be kept by the next try."""
    part, handle = disk.new_part(path.parent, disk.open_new)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        disk.appear(part, path)
    finally:
        part.unlink(missing_ok=True)


def _files() -> Iterator[tuple[str, bytes]]:
    yield from _tree(resources.files("mlgen").joinpath("template"), "")
    for kind in schema.Kind:
        yield f"schemas/{kind}.v1.json", schema.text(kind).encode()


# Without their dots in the package: there they would act on our own repository.
_DOTTED = {"gitignore": ".gitignore", "github": ".github"}


def _tree(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        path = prefix + _DOTTED.get(item.name, item.name)
        if not item.is_dir():
            data = item.read_bytes()
            yield path, data.replace(b"MLGEN_REF", _reference().encode()) if path.startswith(".github/") else data
        elif item.name != "__pycache__":
            yield from _tree(item, f"{path}/")


def _reference() -> str:
    """The commit of mlgen's own repository that this mlgen was installed from; else the tag of its version, and a hint.

    Source: PEP 610, direct_url.json.
    """
    tag = f"v{__version__}"
    try:
        told = json.loads(metadata.distribution("mlgen").read_text("direct_url.json") or "{}")
        commit = told["vcs_info"]["commit_id"]
    except (metadata.PackageNotFoundError, ValueError, LookupError, TypeError):
        commit = ""
    if re.fullmatch(r"[0-9a-f]{40}", str(commit)):
        return f"{commit} # {tag}"
    return f"{tag} # a tag can be moved: put the commit that it names in its place"
