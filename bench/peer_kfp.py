"""Run by the Python that has kfp: compiles pipelines to YAML.

peer_kfp.py TASKS PIPELINES FOLDER
"""

import sys
from pathlib import Path

from kfp import compiler

IMAGE = "registry.example/train@sha256:" + "0" * 64
FIRST = """
@dsl.container_component
def {name}_{i}(rate: float, data: dsl.Output[dsl.Dataset], score: dsl.OutputPath(float)):
    return dsl.ContainerSpec(
        image="{image}",
        command=["python", "step.py"],
        args=["--step", "{i}", "--rate", rate, "--data", data.path, "--score", score],
    )
"""
NEXT = """
@dsl.container_component
def {name}_{i}(
    rate: float,
    source: dsl.Input[dsl.Dataset],
    before: float,
    data: dsl.Output[dsl.Dataset],
    score: dsl.OutputPath(float),
):
    return dsl.ContainerSpec(
        image="{image}",
        command=["python", "step.py"],
        args=["--step", "{i}", "--rate", rate, "--before", before, source.path, "--data", data.path, "--score", score],
    )
"""


def source(name: str, tasks: int) -> str:
    """A pipeline as its author would write it: a component a step, each reading what the step before it left."""
    lines = ["from kfp import dsl\n", FIRST.format(name=name, i=0, image=IMAGE)]
    lines += [NEXT.format(name=name, i=i, image=IMAGE) for i in range(1, tasks)]
    lines += [f"\n@dsl.pipeline(name={name!r})\ndef pipeline(rate: float = 0.1):\n    t0 = {name}_0(rate=rate)\n"]
    for i in range(1, tasks):
        reads = f'source=t{i - 1}.outputs["data"], before=t{i - 1}.outputs["score"]'
        lines.append(f"    t{i} = {name}_{i}(rate=rate, {reads})\n")
    lines += [f'    t{i}.set_cpu_request("1").set_memory_limit("2Gi").set_retry(1)\n' for i in range(tasks)]
    return "".join(lines)


def main() -> None:
    tasks, pipelines, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    for i in range(pipelines):
        names: dict[str, object] = {}
        exec(source(f"bench{i}", tasks), names)
        compiler.Compiler().compile(names["pipeline"], str(folder / f"{i}.yaml"))


if __name__ == "__main__":
    main()
