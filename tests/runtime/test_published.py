"""Whether what manifests pin is published: all is well, or it says what is missing, of whom, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.pod.invocation import read_invocation
from mlgen.runtime.pod.published import check
from mlgen.store import Folder


def store(folder: Path, *keys: str) -> Folder:
    found = Folder(folder / "a", "s3://bucket/prod")
    for key in keys:
        (folder / "file").write_text(key)
        found.put_artifact(key, folder / "file")
    return found


def test_all_is_there(tmp_path: Path) -> None:
    pinned = {f"_code/{n:064x}.tar": "churn" for n in range(40)}
    assert check(pinned, store(tmp_path, *pinned), "prod") == "all 40 that the manifests pin are in s3://bucket/prod"


def test_what_is_missing_is_named_with_who_needs_it(tmp_path: Path) -> None:
    pinned = {
        "_code/aa.tar": "code src of churn",
        "_inputs/bb/points.csv": "input data/points.csv of line",
        "_code/cc.tar": "code lib of churn",
    }
    with pytest.raises(CannotAnswer) as raised:
        check(pinned, store(tmp_path, "_code/aa.tar"), "prod")
    fault = raised.value
    assert fault.code == "unpublished"
    assert fault.message == (
        "of what the manifests pin, 2 of 3 are not in s3://bucket/prod: "
        "code lib of churn (_code/cc.tar), input data/points.csv of line (_inputs/bb/points.csv)"
    )
    assert fault.fix.startswith("`mlgen publish --env prod`")


def test_of_many_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer, match=r"9 of 9 .*p \(_code/4.tar\), and 4 more$"):
        check({f"_code/{n}.tar": "p" for n in range(9)}, store(tmp_path), "prod")


def test_what_is_no_pair_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer, match="cannot be read"):
        read_invocation(["published", "x"], {"MLGEN_TASK": "{}"})
