"""What the tests of this folder share. Those marked `together` run at once, for most of their time is a pod's.

Such a test takes `lab` and parameters and nothing else: it is called from a thread, while other tests are set up.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import lab as labs
from tests.e2e.cluster import kubectl
from tests.e2e.lab import Lab
from tests.e2e.settings import need

AT_ONCE = 6  # runs: more would wait for two cores
_STARTED = pytest.StashKey[dict[str, "Future[None]"]]()


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"mlgen-e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need("KUBECONFIG")
    labs.remove(labs.abandoned())
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that run together come first, so that what concerns a whole node is done when they have ended."""
    here = [n for n, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    for n, item in zip(here, sorted((items[n] for n in here), key=_alone), strict=True):
        items[n] = item


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("together") is None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a test that runs together with others; the first starts them all."""
    if pyfuncitem.get_closest_marker("together") is None:
        return None
    stash = pyfuncitem.session.stash
    if _STARTED not in stash:
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="together")
        all_ = [i for i in pyfuncitem.session.items if i.get_closest_marker("together")]
        found: Lab = pyfuncitem.funcargs["lab"]  # type: ignore[assignment] # pytest types none of them
        stash[_STARTED] = {i.nodeid: pool.submit(_call, i, found) for i in all_ if isinstance(i, pytest.Function)}
        pool.shutdown(wait=False)
    stash[_STARTED][pyfuncitem.nodeid].result()
    return True


def _call(item: pytest.Function, lab: Lab) -> None:
    """What the test made goes as soon as it has passed: a node looks at each of its pods every second, ended or not."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    own = Lab(lab.scratch)
    try:
        item.obj(lab=own, **params)
    except BaseException:
        lab.projects += own.projects  # for a look at what went wrong
        raise
    own.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Start nothing more, where the tests were broken off."""
    for future in session.stash.get(_STARTED, {}).values():
        future.cancel()
