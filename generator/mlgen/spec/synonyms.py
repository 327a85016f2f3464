"""What other tools call our keys: an author who comes from one is told the key, and not to remove the line."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from mlgen.spec.settings import OF_A_TASK, SETTINGS

# our key -> what it is elsewhere (Tekton, Argo, Kubeflow, GitHub, GitLab, Airflow, DVC, Metaflow), without - and _
_ELSEWHERE: Mapping[str, str] = {
    "run": "command commands script cmd exec entrypoint shell program bash",
    "use": "uses template templateref taskref component",
    "uri": "path url source location file href",
    "if": "when condition cond only",
    "env": "environment envs environ variables envvars vars",
    "secrets": "secret secretenv",
    "out": "output outputs outs artifacts results produces returns metrics",
    "in": "input inputs parameters params arguments consumes reads",
    "image": "container docker dockerimage baseimage containerimage",
    "retries": "retry maxretries attempts retrypolicy retrystrategy",
    "timeout": "timeoutseconds timeoutminutes deadline activedeadlineseconds maxduration",
    "cpu": "cpus cores vcpu",
    "memory": "mem ram",
    "gpu": "gpus accelerator accelerators",
    "disk": "storage ephemeralstorage volume",
    "code": "src workdir workingdir workingdirectory",
    "params": "parameters param arguments args variables config",
    "tasks": "steps jobs stages task dag graph",
    "finally": "onexit exithandler always cleanup after",
    "defaults": "default common base",
    "name": "id title pipeline",
    "description": "desc help doc comment",
    "owner": "team author maintainer",
    "default": "value initial",
    "choices": "enum options values allowed oneof",
    "minimum": "min least from",
    "maximum": "max most to",
    "max": "maxbytes maxsize limit size",
    "type": "kind datatype",
    "digest": "sha256 hash checksum",
    "artifacts": "bucket store storage root artifactroot",
    "runtime_image": "image runtime",
    "service_account": "serviceaccountname serviceaccount",
    "image_pull_secrets": "imagepullsecrets pullsecrets",
    "node_selector": "nodeselector",
    "images": "image digests locked",
}
_MEANT: dict[str, list[str]] = {}
for _key, _words in _ELSEWHERE.items():
    for _word in _words.split():
        _MEANT.setdefault(_word, []).append(_key)

# words -> (the key that they come close to, how it is said here)
_SAID = {
    "needs dependson dependencies depends runafter upstream requires dependency": (
        "after",
        "name what it reads in `in`, such as in: [task.out]; `after: [task]` only where no data flows",
    ),
    "resources requests limits": ("cpu", "write `cpu`, `memory` and `gpu` as keys of the task"),
    "args": ("run", "write run: [command, argument, …], a list of the command and its arguments"),
    "metadata": ("labels", "write `name`, `description` and `labels` as keys of the file"),
    "required": ("default", "remove it: what has no `default` is required at run time"),
}
_SENTENCES = {word: said for words, said in _SAID.items() for word in words.split()}


def meant(key: str, known: Collection[str]) -> tuple[str, str] | None:
    """The key of a map that a word of other tools means, and how to mend it; None where none is meant.

    known: the keys that the map may have.
    """
    word = re.sub(r"[-_]", "", key).lower()
    if word in _SENTENCES and (said := _SENTENCES[word])[0] in known:
        return said
    if key in SETTINGS and key not in OF_A_TASK and "defaults" in known:
        return "defaults", f"write it in `defaults`, which all tasks take from: defaults: {{{key}: …}}"
    found = next((ours for ours in _MEANT.get(word, ()) if ours in known), None)
    return (found, f"write {found}") if found else None
