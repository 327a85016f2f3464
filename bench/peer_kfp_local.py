"""Run by the Python that has kfp: a chain of steps that do nothing, with kfp.local and no environment of their own.

peer_kfp_local.py TASKS FOLDER
"""

import sys

from kfp import dsl, local


@dsl.component(base_image="python:3.11")
def nothing(before: int) -> int:
    return before


def main() -> None:
    tasks, folder = int(sys.argv[1]), sys.argv[2]
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)

    @dsl.pipeline
    def chain() -> None:
        task = nothing(before=0)
        for _ in range(tasks - 1):
            task = nothing(before=task.output)

    chain()


if __name__ == "__main__":
    main()
