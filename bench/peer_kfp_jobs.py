"""Run by the Python that has kfp: the jobs of kfp_pods.py as their author would write them for it, compiled.

peer_kfp_jobs.py FOLDER
"""

import sys
from pathlib import Path

from kfp import compiler, dsl

IMAGE = "registry.example/train@sha256:" + "0" * 64
RATES = ["0.1", "0.2", "0.3", "0.4"]
DEPTHS = ["2", "4", "8"]


@dsl.container_component
def make(data: dsl.Output[dsl.Dataset]):
    return dsl.ContainerSpec(image=IMAGE, command=["make"], args=[data.path])


@dsl.container_component
def clean(data: dsl.Input[dsl.Dataset], rows: dsl.Output[dsl.Dataset]):
    return dsl.ContainerSpec(image=IMAGE, command=["clean"], args=[data.path, rows.path])


@dsl.container_component
def train(
    rows: dsl.Input[dsl.Dataset], rate: str, depth: str, model: dsl.Output[dsl.Model], auc: dsl.OutputPath(float)
):
    return dsl.ContainerSpec(image=IMAGE, command=["train"], args=[rows.path, rate, depth, model.path, auc])


@dsl.container_component
def validate(model: dsl.Input[dsl.Model], auc: dsl.OutputPath(float)):
    return dsl.ContainerSpec(image=IMAGE, command=["validate"], args=[model.path, auc])


@dsl.container_component
def report(model: dsl.Input[dsl.Model], auc: float):
    return dsl.ContainerSpec(image=IMAGE, command=["report"], args=[model.path, auc])


@dsl.container_component
def best(aucs: list, trials: dsl.Input[list[dsl.Model]], model: dsl.Output[dsl.Model]):
    """What `pick` is: it needs a pod here."""
    return dsl.ContainerSpec(image=IMAGE, command=["best"], args=[aucs, model.path])


@dsl.container_component
def count(number: str, rows: dsl.OutputPath(int)):
    return dsl.ContainerSpec(image=IMAGE, command=["count"], args=[number, rows])


@dsl.container_component
def total(rows: list, sum: dsl.OutputPath(int)):
    return dsl.ContainerSpec(image=IMAGE, command=["total"], args=[rows, sum])


@dsl.container_component
def fold(number: str, rate: str, auc: dsl.OutputPath(float)):
    return dsl.ContainerSpec(image=IMAGE, command=["fold"], args=[number, rate, auc])


@dsl.pipeline(name="chain")
def chain():
    rows = clean(data=make().outputs["data"]).outputs["rows"]
    model = train(rows=rows, rate="0.1", depth="4").outputs["model"]
    report(model=model, auc=validate(model=model).outputs["auc"])


@dsl.pipeline(name="gate")
def gate():
    rows = clean(data=make().outputs["data"]).outputs["rows"]
    model = train(rows=rows, rate="0.1", depth="4").outputs["model"]
    auc = validate(model=model).outputs["auc"]
    with dsl.If(auc >= 0.9):
        report(model=model, auc=auc)


@dsl.pipeline(name="sweep")
def sweep():
    rows = make().outputs["data"]
    with dsl.ParallelFor(
        [{"rate": rate, "depth": depth} for rate in RATES for depth in DEPTHS], parallelism=4
    ) as trial:
        one = train(rows=rows, rate=trial.rate, depth=trial.depth)
    models = dsl.Collected(one.outputs["model"])
    model = best(aucs=dsl.Collected(one.outputs["auc"]), trials=models).outputs["model"]
    validate(model=model)


@dsl.pipeline(name="shards")
def shards():
    with dsl.ParallelFor([str(number) for number in range(20)]) as number:
        rows = count(number=number)
    total(rows=dsl.Collected(rows.outputs["rows"]))


@dsl.pipeline(name="nested")
def nested():
    with dsl.ParallelFor(RATES) as rate, dsl.ParallelFor(["0", "1", "2", "3", "4"]) as number:
        fold(number=number, rate=rate)


def main() -> None:
    folder = Path(sys.argv[1])
    for job in (chain, gate, sweep, shards, nested):
        compiler.Compiler().compile(job, str(folder / f"{job.name}.yaml"))


if __name__ == "__main__":
    main()
