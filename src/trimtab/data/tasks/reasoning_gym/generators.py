"""The generators of Reasoning Gym by name, with their configs; the package is imported here only, and late."""

import io
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from trimtab.config.wording import unknown_name
from trimtab.data.tasks.reasoning_gym.known import REFUSED
from trimtab.data.tasks.reasoning_gym.syllogisms import Quantity, Statement, Syllogism, follows
from trimtab.errors import ConfigError

Generator = tuple[Callable[[Any], Any], Any]
"""A generator's class, and the config that it is made with."""


def refuse(dataset: str, config: Mapping[str, Any], tags: str) -> None:
    """Raise ValueError for what can be told to be wrong without importing reasoning-gym."""
    if dataset in REFUSED:
        raise ValueError(f"the generator '{dataset}' of reasoning-gym cannot be used: {REFUSED[dataset]}")
    if odd := {"seed", "size"} & set(config):
        raise ValueError(
            f"`config` does not take '{min(odd)}': `data.seed` decides the problems, and `data.size` and `data.validation` "
            "how many they are"
        )
    if tags != "none" and dataset != "syllogism":
        raise ValueError(f"`tags` is for syllogism, whose labels are known to be wrong at times; {dataset} takes none")
    if find_spec("reasoning_gym") is None:
        raise ValueError("the package reasoning-gym is not installed: pip install 'trimtab[tasks]'")


def generator(dataset: str, config: Mapping[str, Any], level: int) -> Generator:
    """A generator with its config for a level of its own curriculum (0: none), and then with the parameters in `config`.

    Raises `ConfigError` for a generator, a parameter or a value that there is not.
    """
    known, curricula = _registered()
    if dataset not in known:
        raise ConfigError(
            f"data.task.dataset: reasoning-gym {version('reasoning-gym')} has no generator '{dataset}'."
            f"{unknown_name(dataset, known)} Known: {', '.join(sorted(set(known) - set(REFUSED)))}."
        )
    factory, own = known[dataset]
    names = [field.name for field in fields(own) if field.name not in ("seed", "size")]
    if odd := sorted(set(config) - set(names)):
        raise ConfigError(
            f"data.task.config: the generator {dataset} has no parameter '{odd[0]}'.{unknown_name(odd[0], names)} It has "
            f"{', '.join(names)}."
        )
    if level and dataset not in curricula:
        raise ConfigError(
            f"data.task.levels: the generator {dataset} has no curriculum. Leave `levels` empty and use `config`."
        )
    try:
        with quiet():
            made = own()
            if level:
                curriculum = curricula[dataset]()
                curriculum.set_global_level(level - 1)
                made = curriculum.generate_configuration()
            made = replace(made, **config)
            if hasattr(made, "validate"):
                made.validate()
    except (AssertionError, TypeError, ValueError, KeyError, AttributeError) as error:
        at = f" at level {level}" if level else ""
        raise ConfigError(
            f"data.task.config: the generator {dataset} does not take {dict(config)}{at} ({type(error).__name__}: {error})."
        ) from error
    return factory, made


def wrong_yes(config: Any) -> float:
    """Of the forms with two premises that `syllogism` may draw by its config and calls valid, the share that are not.

    It draws forms until it calls one valid, each of these as often as any other, so this is the probability of a wrong `Yes`.
    """
    with quiet():
        from reasoning_gym.logic.syllogisms import Quantifier, SyllogismDataset, Term
    said: dict[Any, Quantity] = {
        Quantifier.ALL: "All",
        Quantifier.NO: "No",
        Quantifier.SOME: "Some",
        Quantifier.SOME_NOT: "Some not",
    }
    allowed = [key for key in said if getattr(config, f"allow_{key.name.lower()}")]
    a, b, c = (Term(name, name) for name in "abc")
    called = wrong = 0
    for first, second, third in itertools.product(allowed, repeat=3):
        if SyllogismDataset._is_valid_syllogism((first, a, b), (second, b, c), (third, a, c)):
            premises = Statement(said[first], "a", "b"), Statement(said[second], "b", "c")
            called += 1
            wrong += not follows(Syllogism(*premises, Statement(said[third], "a", "c")))
    return wrong / called if called else 0.0


@contextmanager
def quiet() -> Iterator[None]:
    """Runs what belongs to the other package: its prints (`bf` has some) do not reach a program that reads our output.

    Nor do warnings about its source text, about what it calls that goes out of use, and about files that it leaves open: they
    are its own to mend.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        for kind in (SyntaxWarning, DeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        yield


def _registered() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """All generators with their configs, and all curricula, by name."""
    with quiet():
        import reasoning_gym  # noqa: F401 - fills the registries
        from reasoning_gym.factory import CURRICULA, DATASETS
    return DATASETS, CURRICULA
