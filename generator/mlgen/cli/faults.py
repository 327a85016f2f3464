"""The codes of faults: why a command could not do its work. Findings, about the author's files, are in CODES.

A fault says where it is printed why it came about and how to mend it, with names and paths that no manual knows; so
here is one line for each.
"""

from __future__ import annotations

# Asked wrongly: exit 2.
MISUSES: dict[str, str] = {
    "already-there": "a project where `mlgen init` would make one",
    "ambiguous-artifact": "a beginning of several digests",
    "ambiguous-run": "a beginning of several runs' names or uids",
    "bad-argument": "a -p that the pipeline does not take, or one that it needs and was not given",
    "bad-branch": "a ledger's branch with a name that Git does not take",
    "bad-condition": "a question about runs that cannot be read, or compares what never compares",
    "bad-git-url": "a ledger's URL that mlgen gives to no git, or one with credentials in it",
    "bad-option": "an option that does not belong to this environment",
    "bad-report": "a --report that is no FORMAT=FILE, or of which FILE is taken",
    "bad-store": "artifacts at a URI that there is no store for",
    "in-the-way": "a file that mlgen did not make, where it would write one",
    "link-out": "a link out of the repository where mlgen would write",
    "missing-secret": "a secret of a task that is not in the environment of `mlgen run`",
    "no-log": "a task or run that has left no log on this machine",
    "no-lsp": "a language server without the package that speaks its protocol",
    "no-parquet": "an export to Parquet without the package that writes it",
    "no-policies": "a project without policies, where they are to be tried",
    "no-specs": "a project without specs",
    "no-such-file": "a file that is not there",
    "no-such-revision": "a revision that no commit of this clone has",
    "not-a-file": "a folder, or a link that leaves the repository, where a spec is wanted",
    "not-edited": "an mlgen.yaml in which a pin cannot be moved without a person",
    "not-openlineage": "a file to import that is not made of OpenLineage events",
    "options": "options that exclude each other",
    "other-project": "a file of another project than the first one's",
    "run-exists": "a run's name that is taken",
    "task-file": "a task file where a pipeline is wanted",
    "unknown-artifact": "an artifact that no record names",
    "unknown-code": "a code that mlgen does not have",
    "unknown-record": "a refused record that is not there",
    "unknown-run": "a run that the ledger, or this machine, does not have",
    "usage": "arguments that mlgen-runtime does not take",
}

# Could not answer: exit 3.
FAILURES: dict[str, str] = {
    "artifacts-nested": "artifacts of one environment below another's",
    "bad-invocation": "a pod that was given what this mlgen-runtime cannot read",
    "broken-tree": "a commit that no checkout would lay down",
    "bug": "a mistake in mlgen",
    "cluster-forbidden": "something on the cluster that the user may not do",
    "cluster-refused": "an object that the cluster, or a policy of it, does not take",
    "cluster-unauthorized": "a user whom the cluster does not know, or knows no longer",
    "cluster-unreachable": "an API server that does not answer",
    "code-changed": "code that was edited while a run was being prepared",
    "dirty-tree": "files that are not as the commit has them that is meant",
    "disk-full": "no space left on a disk",
    "git-denied": "a Git host that does not take the credentials, or does not let them do what is asked",
    "git-missing": "no program git",
    "git-no-filter": "a Git host that gives a ledger only as a whole, which is too large for that",
    "git-no-repository": "a URL at which there is no Git repository",
    "git-push-refused": "a Git host whose rules, or hooks, refuse what is pushed",
    "git-refused": "a repository that git does not read here",
    "git-unreachable": "a Git host that is not there, or does not answer in time",
    "git-untrusted": "a Git host whose certificate or key is not known here",
    "guardian-lost": "the process that ends a killed run's tasks does not stay alive",
    "ledger-behind": "a ledger of which only an older state can be read",
    "ledger-broken": "a ledger's branch that is there, and that git cannot read",
    "ledger-busy": "a ledger to which too many others write at once",
    "ledger-checked-out": "a ledger's branch that is checked out, so that it cannot be moved",
    "ledger-locked": "a ledger's branch that another git command holds, or held when it was killed",
    "ledger-not-kept": "a ledger's branch that was moved, and is found where it was before",
    "ledger-shallow": "a repository with the last commits of a ledger alone, where all are wanted",
    "ledger-refused": "a ledger's branch that git could not write",
    "ledger-unread": "a file of the ledger that cannot be read, where all must be",
    "ledger-waits": "too many records in the spool to find out whether one of them tells of something",
    "ledger-rewritten": "a ledger's branch that does not go on from what was seen of it, and is no epoch after that",
    "lfs-missing": "a file of a commit whose content Git LFS has not fetched",
    "lock-changed": "a mlgen.lock that somebody else wrote while registries were asked",
    "lock-layout": "a mlgen.lock whose entries cannot be changed without losing something",
    "no-bucket": "a bucket that does not exist",
    "no-ledger": "a ledger that is to be verified, and is not there",
    "no-kubeconfig": "no cluster: neither a kubeconfig nor a pod's service account",
    "no-namespace": "an environment's namespace that the cluster does not have",
    "no-repository": "a project outside of any Git work tree, where another revision of it is wanted",
    "no-sidecar": "a pod whose results sidecar was not there when its first step began",
    "no-tekton": "a cluster without Tekton Pipelines",
    "no-ssh-keygen": "no program ssh-keygen, with which commits are signed",
    "not-a-store": "an endpoint at which something else than an object store answers",
    "not-an-editor": "a message to the language server that no editor sends",
    "not-applied": "a cluster that does not have what the spec renders to, or has another version of it",
    "not-in-a-pod": "mlgen-runtime started elsewhere than in a task's pod",
    "not-kept": "outs of a task that stage-out could not read or keep",
    "not-printed": "an answer that standard output did not take, as on a full disk",
    "not-published": "an input that no store can keep: a link, a special file",
    "not-recorded": "an execution whose record is not what stage-out had to say, or cannot be kept",
    "called-off": "an item that was not started, as more of its task had failed than it bears",
    "not-staged": "code or an in of a task that stage-in could not bring",
    "other-bytes": "an input that has not the bytes of its digest, when it is published",
    "nothing-kept": "a `gc` whose rules keep no run at all, or whose ledger has none",
    "partial-clone": "a clone that left out a file which is wanted",
    "project-changed": "an mlgen.yaml that was edited while an environment was promoted",
    "run-deleted": "a run that somebody deleted while it was followed",
    "shallow-clone": "a clone that left out the history which is wanted",
    "signing-key": "a key that ledger commits cannot be signed with",
    "store-broken": "a bucket that does not keep what it was given",
    "store-busy": "a key that others put and delete at the same time",
    "store-credentials": "a bucket that does not take the credentials, or to which there are none",
    "store-denied": "a bucket that lets the credentials not do what is asked",
    "store-linked": "a link inside a folder of artifacts, where mlgen follows none",
    "store-odd": "an answer of an object store that mlgen does not know",
    "store-region": "a bucket in another region than the one it was asked for in",
    "store-unreachable": "a bucket that is not reached, or answers nothing but its own failures",
    "system-error": "a file that the operating system does not let mlgen use",
    "tracked-state": "a commit with mlgen's own files in it: runs, or records that wait",
    "unpublished": "manifests that pin code or files which are not in the bucket, as Argo CD's PreSync hook finds them",
    "unreadable": "a spec that cannot be read",
}

FAULTS = MISUSES | FAILURES

# Why a record did not land: what it is, and what to do.
REFUSALS: dict[str, tuple[str, str]] = {
    "bad-record": (
        "bytes that are no record",
        "something else than mlgen, or a broken disk, wrote them; remove both files once nobody needs them",
    ),
    "ledger-conflict": (
        "an execution, or run, that the ledger has with other bytes",
        "the first that landed stays; one of the two was altered, or a run was told of twice: compare this file with "
        "the one that its reason names, find out who wrote it, then remove it and its reason",
    ),
    "ledger-too-new": ("a record in a format that only a newer mlgen reads", "it waits in the spool: upgrade"),
    "other-ledger": (
        "a record of an environment whose ledger is another one",
        "it waits in the spool: fold that environment",
    ),
    "secret-in-record": (
        "a record with what looks like a password, key or token in it",
        "the reason names place and kind, never the value; withdraw the secret where it was issued, since it lies in "
        "the bucket in clear, let the task not print it as a value, then remove the file and its reason. The task's "
        "own writer masks what it sees: other means wrote this record",
    ),
}
