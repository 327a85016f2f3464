"""The codes of faults: why a command could not do its work. Findings, about the author's files, are in CODES.

A fault says where it is printed why it came about and how to mend it, with names and paths that no manual knows; so
here is one line for each.
"""

from __future__ import annotations

FAULTS: dict[str, str] = {
    # asked wrongly: exit 2
    "already-there": "a project where `mlgen init` would make one",
    "ambiguous-artifact": "a beginning of several digests",
    "ambiguous-run": "a beginning of several runs' names or uids",
    "bad-argument": "a -p that the pipeline does not take, or one that it needs and was not given",
    "bad-branch": "a ledger's branch with a name that Git does not take",
    "bad-option": "an option that does not belong to this environment",
    "bad-store": "artifacts at a URI that there is no store for",
    "in-the-way": "a file that mlgen did not make, where it would write one",
    "link-out": "a link out of the repository where mlgen would write",
    "missing-secret": "a secret of a task that is not in the environment of `mlgen run`",
    "no-log": "a task or run that has left no log on this machine",
    "no-specs": "a project without specs",
    "no-such-file": "a file that is not there",
    "not-a-file": "a folder, or a link that leaves the repository, where a spec is wanted",
    "options": "options that exclude each other",
    "other-project": "a file of another project than the first one's",
    "run-exists": "a run's name that is taken",
    "task-file": "a task file where a pipeline is wanted",
    "unknown-artifact": "an artifact that no record names",
    "unknown-code": "a code that mlgen does not have",
    "unknown-run": "a run that the ledger, or this machine, does not have",
    "usage": "arguments that mlgen-runtime does not take",
    # could not answer: exit 3
    "bad-invocation": "a pod that was given what this mlgen-runtime cannot read",
    "bug": "a mistake in mlgen",
    "cluster-forbidden": "something on the cluster that the user may not do",
    "cluster-refused": "an object that the cluster, or a policy of it, does not take",
    "cluster-unauthorized": "a user whom the cluster does not know, or knows no longer",
    "cluster-unreachable": "an API server that does not answer",
    "code-changed": "code that was edited while a run was being prepared",
    "disk-full": "no space left on a disk",
    "git-missing": "no program git",
    "git-refused": "a repository that git does not read here",
    "guardian-lost": "the process that ends a killed run's tasks does not stay alive",
    "ledger-broken": "a ledger's branch that is there, and that git cannot read",
    "ledger-busy": "a ledger to which too many others write at once",
    "ledger-checked-out": "a ledger's branch that is checked out, so that it cannot be moved",
    "ledger-locked": "a ledger's branch that another git command holds, or held when it was killed",
    "ledger-refused": "a ledger's branch that git could not write",
    "no-kubeconfig": "no cluster: neither a kubeconfig nor a pod's service account",
    "no-tekton": "a cluster without Tekton Pipelines",
    "not-in-a-pod": "mlgen-runtime started elsewhere than in a task's pod",
    "not-published": "an input that no store can keep: a link, a special file",
    "not-printed": "an answer that standard output did not take, as on a full disk",
    "not-yet": "what this version does not do yet",
    "other-bytes": "an input that has not the bytes of its digest, when it is published",
    "store-broken": "a bucket that does not keep what it was given",
    "store-linked": "a link inside a folder of artifacts, where mlgen follows none",
    "store-unreachable": "a bucket that is not there, not reached, or refuses the credentials",
    "system-error": "a file that the operating system does not let mlgen use",
    "tracked-state": "a commit with mlgen's own files in it: runs, or records that wait",
    "unreadable": "a spec that cannot be read",
}
