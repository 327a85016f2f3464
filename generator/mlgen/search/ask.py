"""The values of a trial: Optuna's answer, asked anew each time with all that was told. No database, no lock file.

Optuna is imported here alone, and late: it costs 0.3 s and 40 MB, which who does not search never pays.
"""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mlgen.diagnostic import CannotAnswer
from mlgen.search.model import Dimension, Search, Told
from mlgen.values import Type, to_text

if TYPE_CHECKING:
    import optuna

DIGITS = 9  # of a number: more would differ in the last ones between processors, and so between two engines


def check_available() -> None:
    """Raises CannotAnswer "no-optuna" where searches cannot be asked."""
    if importlib.util.find_spec("optuna") is None:
        raise CannotAnswer(
            "no-optuna",
            "Optuna, which proposes the values of a search, is not installed",
            why="it is an extra of mlgen, since it brings 120 MB",
            fix='install it: pip install "mlgen[search]"',
        )


def ask_wave(search: Search, told: Sequence[Told], index: int) -> list[dict[str, str]]:
    """The values, as texts, of the trials of a wave from its first to `index`.

    told: all trials before the wave. Each is proposed with those before it in the wave as running.
    """
    first, found = search.wave(index), list[dict[str, str]]()
    for at in range(first, index + 1):
        found.append(ask(search, told, at, {first + n: texts for n, texts in enumerate(found)}))
    return found


def ask(search: Search, told: Sequence[Told], index: int, running: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """The values, as texts, of one trial: the same for the same arguments, everywhere.

    running: values of trials that have begun and of which nothing is told; the sampler keeps away from them.
    Raises CannotAnswer "no-optuna".
    """
    check_available()
    import optuna  # late: see above

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {dimension.name: _distribution(dimension) for dimension in search.space}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            direction="maximize" if search.highest else "minimize", sampler=_sampler(search, index)
        )
        make = partial(_trial, search, space)
        study.add_trials([make(t) for t in sorted(told, key=lambda t: t.index)])
        study.add_trials([make(Told(at, texts), running=True) for at, texts in sorted(running.items())])
        trial = study.ask(space)
    return {d.name: _text(d, trial.params[d.name]) for d in search.space}


def _sampler(search: Search, index: int) -> optuna.samplers.BaseSampler:
    import optuna

    # Of its own for each trial, and so one draw for each: what was asked before leaves no trace.
    seed = int.from_bytes(hashlib.sha256(f"{search.seed}/{index}".encode()).digest()[:4], "big")
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(n_startup_trials=search.startup, multivariate=True, constant_liar=True, seed=seed)


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    import optuna

    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    if dimension.type is Type.INTEGER:
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _trial(
    search: Search, space: dict[str, optuna.distributions.BaseDistribution], told: Told, *, running: bool = False
) -> optuna.trial.FrozenTrial:
    import optuna

    state = optuna.trial.TrialState.FAIL
    if running:
        state = optuna.trial.TrialState.RUNNING
    elif told.score is not None:
        state = optuna.trial.TrialState.COMPLETE
    elif told.pruned:
        state = optuna.trial.TrialState.PRUNED
    return optuna.trial.create_trial(
        state=state,
        value=told.score,
        params={d.name: _parsed(d, told.texts[d.name]) for d in search.space},
        distributions=space,
        intermediate_values=dict(told.reports),
    )


def _parsed(dimension: Dimension, text: str) -> Any:
    if dimension.choices:
        return text
    return int(text) if dimension.type is Type.INTEGER else float(text)


def _text(dimension: Dimension, value: Any) -> str:
    if dimension.choices:
        return str(value)
    if dimension.type is Type.INTEGER:
        return str(int(value))
    rounded = float(f"{value:.{DIGITS}g}")
    return to_text(min(max(rounded, dimension.low), dimension.high))
