"""What one task hands on, the next one has, and what cannot be handed on fails its task, in one line."""

from __future__ import annotations

import pytest

from tests.e2e.fates import failed, single
from tests.e2e.lab import Lab
from tests.e2e.run import Run, start
from tests.e2e.test_two_engines import Case

pytestmark = pytest.mark.together

# Tekton would replace each of these in a pod's variables and arguments. A script may not hold them: `$d` is a `$`.
SAID = (
    "$d(context.taskRun.name) $d(context.task.retry-count)$d$d(context.taskRun.uid) $d(results.said.path) "
    "$d(results['said'].path) $d(steps.step-main.exitCode.path) $d(credentials.path) $d(params.said) $d(HOME) "
    "$d(artifacts.path) $d(workspaces.w.path) $d(steps.main.results.x) $d(steps.main.outputs.x) "
    "$d(context.$d(context.task.name).name) $d(MLGEN_DOLLAR) $d$d$d( $d$d $d( ) $d"
)
TEXTS = f"""\
tasks:
  write:
    run: |
      d='$'
      printf '%s' "{SAID}" > "$said"
      cut -c 1-60 < "$said" > "$maybe"
      printf '%s' "$d(context.task.retry-count)" > "$count"
    out: {{said: {{type: string, max: 430}}, maybe: {{type: string, optional: true, max: 60}}, count: string}}
  zero: {{run: echo '$0' > "$text", out: {{text: string}}}}
  read:
    run: printf '%s' "$said" > "$again"; printf '%s' "$maybe" > "$perhaps"
    in: [write.said, write.maybe]
    out: {{again: file, perhaps: file}}
  exec:
    run: [sh, -c, 'printf "%s" "$said" > "$again"']
    in: [write.said]
    out: {{again: file}}
  same: {{run: "true", if: write.count != zero.text}}
"""


def test_texts_are_the_same_in_every_engine(lab: Lab) -> None:
    project = lab.project("texts")
    project.pipeline("texts", TEXTS)
    found = Case(project, "texts").compare()
    assert found.keys() == {"write-0", "zero-0", "read-0", "exec-0", "same-0", "run.json"}
    values = found["write-0"]["run"]["facets"]["mlgen_task"]["values"]
    assert values["said"] == SAID.replace("$d", "$")
    said = next(o for o in found["read-0"]["outputs"] if o["facets"]["mlgen_artifact"]["name"] == "again")
    (by_exec,) = found["exec-0"]["outputs"]
    digests = {o["facets"]["mlgen_artifact"]["sha256"] for o in (said, by_exec)}
    assert len(digests) == 1


def test_results_as_large_as_they_may_be_arrive(lab: Lab) -> None:
    project = lab.project("large")
    project.pipeline(
        "large",
        """
tasks:
  write: {run: "printf '%0225d' 0 | tr 0 '<' > \\"$page\\"", out: {page: {type: string, max: 300}}}
  read: {run: 'test ${#page} = 225', in: [write.page]}
""",
    )
    assert start(project, "large").settled() == "Succeeded"


def test_results_that_kubernetes_would_cut(lab: Lab) -> None:
    run = single(lab, "cut", "run: printf '%0300d' 0 | tr 0 '<' > \"$page\"\nout: {page: {type: string, max: 300}}")
    assert run.settled() == "Failed"
    error = failed(run)["error"]
    assert "the outs take 1,8" in error
    assert "1,400 are handed on" in error
    assert f"error[not-kept]: {error}" in run.log(run.pods()[0], "step-stage-out")


@pytest.mark.parametrize("put", [
    "head -c 20000 /dev/zero >",
    "mkfifo",
    "mkdir",
    "mkfifo /mlgen/tmp/pipe; ln -s /mlgen/tmp/pipe",
])  # fmt: skip
def test_what_a_program_puts_among_tekton_s_results(lab: Lab, put: str) -> None:
    run = single(lab, "intruder", f'run: |\n  echo x > "$model"\n  {put} /tekton/results/model\nout: {{model: model}}')
    _blamed(run, "/tekton/results/model")


def test_a_pipe_among_tekton_s_artifacts(lab: Lab) -> None:
    own = "/tekton/steps/step-main/artifacts/provenance.json"
    task = f'run: |\n  echo x > "$model"\n  mkfifo /tekton/artifacts/provenance.json {own}\nout: {{model: model}}'
    _blamed(single(lab, "artifacts", task), "/tekton/artifacts/provenance.json")


def _blamed(run: Run, path: str) -> None:
    assert run.settled() == "Failed"
    record = failed(run)
    assert f"the program wrote to {path}" in record["error"]
    assert record["exitCode"] == 0
