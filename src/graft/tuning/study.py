"""A study: trials one after the other, each in a journal once it is over, so that the same command goes on.

Optuna draws and prunes trials in memory, from those of the journal; a trial that is interrupted is in none
of them, and is drawn again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from graft.config.tuning import replace
from graft.report.lock import look_up
from graft.training.fit import DivergenceError
from graft.tuning.score import Score, Train
from graft.tuning.space import Space, find_present, suggest
from graft.utils.progress import Bar

FINALISTS, AT_RANDOM = 5, 25
KEPT_PERCENT, WARM_UP = 25.0, 2  # a trial goes on after that many epochs while its loss is among the best
DIVERGED, ILLEGAL = "diverged", "illegal"


@dataclass(frozen=True)
class Search:
    """A search: a block of parameters, its space, and the function that trains it.

    Attributes:
        block: the method's block of params.yaml.
        space: what to search in it.
        build: validates a block with other values.
        train: trains it.
        seeds: of the finalists; the first is that of all trials.
    """

    block: Mapping[str, Any]
    space: Space
    build: Callable[[Mapping[str, Any]], Any]
    train: Train
    seeds: Sequence[int]


@dataclass(frozen=True)
class Candidate:
    """Values that were trained with all seeds.

    Attributes:
        number: of the trial; 0: the values of params.yaml.
        settings: by dotted key.
        scores: of each seed.
    """

    number: int
    settings: Mapping[str, Any]
    scores: Sequence[Score]

    @property
    def loss(self) -> float:
        """The mean validation loss."""
        return sum(score.loss for score in self.scores) / len(self.scores)


@contextmanager
def open_journal(file: Path) -> Iterator[Any]:
    """Open the `optuna.Study` of a journal, which is made where there is none, for this process alone.

    Raises:
        ValueError: if another process has it, or it cannot be read.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = FileLock(file.with_suffix(".lock"))
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another process tunes this ({file}): wait for its end, or end it") from None
    with held:
        _cut_torn_line(file)
        try:
            # The lock that this process has is Optuna's, too: its own would outlive a kill for 30 seconds.
            storage = JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
            study = optuna.create_study(storage=storage, study_name="graft", load_if_exists=True)
            list(study.trials)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise ValueError(f"{file} is damaged ({error}): delete it, and the study begins again") from None
        yield study


def _cut_torn_line(file: Path) -> None:
    """Take away a last line that a kill left without its end."""
    if file.is_file() and not (content := file.read_bytes()).endswith(b"\n"):
        file.write_bytes(content[: content.rfind(b"\n") + 1])


class OutOfTime(Exception):  # noqa: N818
    """The time of the search is over."""


def run_trials(journal: Any, search: Search, n: int, timeout: float | None, bar: Bar) -> Any:
    """Run trials until the journal has n, or the time is over: then the one at hand is dropped.

    Args:
        journal: of `open_journal`.
        search: what is searched.
        n: trials in all, those of earlier calls among them.
        timeout: seconds.
        bar: counts them.

    Returns:
        The `optuna.Study` of all trials, in memory.
    """
    import optuna

    end = monotonic() + timeout if timeout else float("inf")
    pruner = optuna.pruners.PercentilePruner(KEPT_PERCENT, n_startup_trials=5, n_warmup_steps=WARM_UP)
    live = optuna.create_study(pruner=pruner)
    live.add_trials(journal.get_trials(deepcopy=False))
    bar.advance(min(n, len(live.trials)))
    while len(live.get_trials(deepcopy=False)) < n and monotonic() < end:
        number = len(live.get_trials(deepcopy=False))
        if number == 0:
            live.enqueue_trial(find_present(search.block, search.space))
        # A seed of its own for each: so an interruption changes no draw.
        live.sampler = optuna.samplers.TPESampler(n_startup_trials=AT_RANDOM, seed=number)
        try:
            _run_trial(live, search, end)
        except OutOfTime:
            break
        journal.add_trial(live.get_trials(deepcopy=False)[number])
        bar.advance()
        if complete := list_complete(live):
            bar.note(f"best val. loss {complete[0].value:.4f}")
    return live


def _run_trial(live: Any, search: Search, end: float) -> None:
    import optuna

    trial = live.ask()

    def report(epoch: int, loss: float) -> None:
        if monotonic() > end:
            raise OutOfTime
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    values = suggest(trial, search.space)
    trial.set_user_attr("values", values)
    try:
        score = search.train(search.build(replace(search.block, values)), search.seeds[0], report)
    except (optuna.TrialPruned, ValidationError, DivergenceError) as error:
        if not isinstance(error, optuna.TrialPruned):
            trial.set_user_attr("fault", ILLEGAL if isinstance(error, ValidationError) else DIVERGED)
        live.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return
    trial.set_user_attr("score", score)
    live.tell(trial, score.loss)


def list_trials(study: Any) -> list[Any]:
    """The trials that are over, in their order."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def list_complete(study: Any) -> list[Any]:
    """The trials that were not pruned, the best first."""
    trials = [trial for trial in list_trials(study) if "score" in trial.user_attrs]
    return sorted(trials, key=lambda trial: (trial.value, trial.number))


def compare_finalists(journal: Any, live: Any, search: Search, bar: Bar) -> list[Candidate]:
    """Train the values of params.yaml and those of the best trials with all seeds; the best comes first.

    What an earlier call trained is in the journal.
    """
    chosen: dict[str, tuple[int, Mapping[str, Any]]] = {}
    present = {key: look_up(search.block, key) for key in search.space}
    best = list_complete(live)
    for number, values in [(0, present), *((each.number + 1, each.user_attrs["values"]) for each in best)]:
        if len(chosen) <= FINALISTS:
            chosen.setdefault(json.dumps(values), (number, values))
    done: dict[str, Sequence[Any]] = journal.user_attrs
    done |= {f"{json.dumps(t.user_attrs['values'])} {search.seeds[0]}": t.user_attrs["score"] for t in best}
    candidates = []
    for text, (number, values) in chosen.items():
        block = search.build(replace(search.block, values))
        try:
            for seed in search.seeds:
                if (name := f"{text} {seed}") not in done:
                    done[name] = search.train(block, seed, lambda *_: None)
                    journal.set_user_attr(name, done[name])
                bar.advance()
        except DivergenceError:
            if number == 0:
                raise
            continue  # with another seed: not to be advised
        scores = [Score(*done[f"{text} {seed}"]) for seed in search.seeds]
        candidates.append(Candidate(number, values, scores))
    return sorted(candidates, key=lambda each: (each.loss, each.number))
