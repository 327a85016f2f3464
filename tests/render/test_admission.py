"""Everything that is rendered is admitted by Tekton, and stored as it is written: `webhook(render(x)) == render(x)`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from mlgen.render.manifests import manifests
from mlgen.spec.project import Environment
from tests import oracle
from tests.oracle import Oracle, needs_oracle
from tests.strategies import Spec, environments, load, specs

EXAMPLES = int(os.environ.get("MLGEN_ADMISSION_EXAMPLES", "25"))  # thousands, to prove it; few, to notice


@pytest.fixture(scope="module")
def admission() -> Iterator[Oracle]:
    with oracle.running() as found:
        yield found


@needs_oracle
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs(), environments())
def test_generated_specs_are_admitted_and_fixed_points(admission: Oracle, spec: Spec, environment: Environment) -> None:
    for manifest in manifests(load(spec), environment):
        admission.insist(yaml.load(manifest.bytes, Loader=yaml.CSafeLoader))
