"""The generators of Reasoning Gym by name, with their configs. Only this module imports the package, and only on use."""

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
"""The class of a generator, and the config to construct it with."""


def check_usable(dataset: str, config: Mapping[str, Any], tags: str) -> None:
    """Raises ValueError for errors that can be detected without importing reasoning-gym."""
    if dataset in REFUSED:
        raise ValueError(f"the generator '{dataset}' of reasoning-gym cannot be used: {REFUSED[dataset]}")
    if reserved := {"seed", "size"} & set(config):
        raise ValueError(
            f"`config` does not accept '{min(reserved)}': set `data.seed` for the problems, and `data.size` and "
            "`data.validation` for their number"
        )
    if tags != "none" and dataset != "syllogism":
        raise ValueError(f"`tags` is only for syllogism, some of whose labels are known to be wrong, not for {dataset}")
    if find_spec("reasoning_gym") is None:
        raise ValueError("the package reasoning-gym is not installed: pip install 'trimtab[tasks]'")


def generator(dataset: str, config: Mapping[str, Any], level: int) -> Generator:
    """Returns a generator with its config: that of a level of its curriculum (0: its default), overridden by `config`.

    Raises `ConfigError` for an unknown generator, an unknown parameter or an invalid value.
    """
    known, curricula = _registered()
    if dataset not in known:
        raise ConfigError(
            f"data.task.dataset: reasoning-gym {version('reasoning-gym')} has no generator '{dataset}'."
            f"{unknown_name(dataset, known)} Known: {', '.join(sorted(set(known) - set(REFUSED)))}."
        )
    factory, own = known[dataset]
    names = [field.name for field in fields(own) if field.name not in ("seed", "size")]
    if unknown := sorted(set(config) - set(names)):
        raise ConfigError(
            f"data.task.config: the generator {dataset} has no parameter '{unknown[0]}'.{unknown_name(unknown[0], names)} It has "
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
            f"data.task.config: the generator {dataset} rejects {dict(config)}{at} ({type(error).__name__}: {error}). Correct "
            "the parameters."
        ) from error
    return factory, made


def wrong_yes_share(config: Any) -> float:
    """Returns the share of two-premise forms that `syllogism`, with this config, calls valid although they are not.

    The generator draws forms until it calls one valid, all with equal probability, so this is the probability that a `Yes` is
    wrong.
    """
    with quiet():
        from reasoning_gym.logic.syllogisms import Quantifier, SyllogismDataset, Term
    quantities: dict[Any, Quantity] = {
        Quantifier.ALL: "All",
        Quantifier.NO: "No",
        Quantifier.SOME: "Some",
        Quantifier.SOME_NOT: "Some not",
    }
    allowed = [key for key in quantities if getattr(config, f"allow_{key.name.lower()}")]
    a, b, c = (Term(name, name) for name in "abc")
    called_valid = wrong = 0
    for first, second, third in itertools.product(allowed, repeat=3):
        if SyllogismDataset._is_valid_syllogism((first, a, b), (second, b, c), (third, a, c)):
            premises = Statement(quantities[first], "a", "b"), Statement(quantities[second], "b", "c")
            called_valid += 1
            wrong += not follows(Syllogism(*premises, Statement(quantities[third], "a", "c")))
    return wrong / called_valid if called_valid else 0.0


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the prints and warnings of reasoning-gym within the block.

    Its prints (`bf` has some) would otherwise reach programs that read our output. Its SyntaxWarnings, DeprecationWarnings and
    ResourceWarnings concern its own source code.
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
