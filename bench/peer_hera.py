"""Run by the Python that has hera: writes Argo workflows as YAML.

peer_hera.py TASKS PIPELINES FOLDER
"""

import sys
from pathlib import Path

from hera.workflows import DAG, Artifact, Container, Parameter, Resources, RetryStrategy, Task, Workflow
from hera.workflows.models import ValueFrom

IMAGE = "registry.example/train@sha256:" + "0" * 64


def workflow(name: str, tasks: int) -> Workflow:
    """The pipeline of peer_kfp.py in hera's words: a template a step, each reading what the step before it left."""
    with Workflow(generate_name=f"{name}-", entrypoint="main", arguments={"rate": 0.1}) as made:
        steps = []
        for i in range(tasks):
            reads = [Parameter(name="before"), Artifact(name="source", path="/in/source")] if i else []
            before = ["--before", "{{inputs.parameters.before}}", "/in/source"] if i else []
            step = Container(
                name=f"step-{i}",
                image=IMAGE,
                command=["python", "step.py"],
                args=[
                    "--step",
                    str(i),
                    "--rate",
                    "{{inputs.parameters.rate}}",
                    *before,
                    "--data",
                    "/out/data",
                    "--score",
                    "/out/score",
                ],
                inputs=[Parameter(name="rate"), *reads],
                outputs=[
                    Artifact(name="data", path="/out/data"),
                    Parameter(name="score", value_from=ValueFrom(path="/out/score")),
                ],
                resources=Resources(cpu_request=1, memory_request="2Gi", memory_limit="2Gi"),
                retry_strategy=RetryStrategy(limit=1),
            )
            steps.append(step)
        with DAG(name="main"):
            last: Task | None = None
            for i, step in enumerate(steps):
                arguments = [Parameter(name="rate", value="{{workflow.parameters.rate}}")]
                if last is not None:
                    arguments += [
                        last.get_parameter("score").with_name("before"),
                        last.get_artifact("data").with_name("source"),
                    ]
                task = Task(name=f"t{i}", template=step, arguments=arguments)
                if last is not None:
                    last >> task
                last = task
    return made


def main() -> None:
    tasks, pipelines, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    for i in range(pipelines):
        (folder / f"{i}.yaml").write_text(workflow(f"bench-{i}", tasks).to_yaml())


if __name__ == "__main__":
    main()
