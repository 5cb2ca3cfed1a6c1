"""Parts of a config that are right each on their own and do nothing together: refused once all are resolved."""

from collections.abc import Mapping
from typing import Any

from trimtab.config.components import LOSSES
from trimtab.config.nested import inner_components
from trimtab.config.schema import ExamConfig
from trimtab.config.wording import Source
from trimtab.errors import ConfigError


def refuse_misfits(config: Mapping[str, Any], where: Source) -> None:
    """Raise `ConfigError` for an objective of mere terms and for an exam without a task; `config` is resolved."""
    episode = config["episode"]
    _refuse_mere_terms(episode["loss"], where)
    if config["data"]["name"] == "corpus" and sits_exam(ExamConfig.model_validate(episode["exam"])):
        raise ConfigError(f"{where.at(('episode', 'exam'))}{NO_TASK}")


NO_TASK = (
    "an exam asks the problems of a task, and the data has none. Use `data: {name: task, ...}`, or leave the exam out."
)
"""What is said of an exam that nothing can be asked in."""


def sits_exam(exam: ExamConfig) -> bool:
    """Whether a config asks for exams in words of its own; the defaults wait for data of a task."""
    return exam.problems > 0 and exam != ExamConfig()


def _refuse_mere_terms(loss: Mapping[str, Any], where: Source) -> None:
    if _stands_alone(loss):
        return
    place = where.at(("episode", "loss"))
    name, terms = loss["name"], [spec for _, spec in inner_components("loss", loss)]
    if terms:
        raise ConfigError(
            f"{place}the sum has no objective, only terms that stand beside one ({', '.join(term['name'] for term in terms)}): "
            "add one that is trained on every token, {name: cross_entropy} say, with a weight above 0."
        )
    raise ConfigError(
        f"{place}'{name}' is a term that stands beside a loss and no objective alone: write {{name: sum, terms: "
        f"[{{name: cross_entropy}}, {{name: {name}, weight: 1.0}}]}}."
    )


def _stands_alone(loss: Mapping[str, Any]) -> bool:
    term: bool | None = getattr(LOSSES.load(loss["name"]), "term", False)
    if term is not None:
        return not term
    return any(_stands_alone(part) for _, part in inner_components("loss", loss) if part.get("weight", 1.0) > 0)
