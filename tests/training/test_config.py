"""Keys that do not fit together are refused before anything is loaded."""

from typing import Any

import pytest

from trimtab.config import REGISTRIES, ConfigError
from trimtab.training.config import PRESETS, load_config, preset_path, resolve_config

TERMS = {
    "number_token",
    "ranked_probability",
    "entropy",
    "confidence_penalty",
    "mmce",
    "soft_binned_ece",
    "activation_sparsity",
    "activation_norm",
    "plan",
    "thinking_length",
    "thinking_budget",
    "cap_confidence",
    "layer_variance",
}


def objective(loss: dict[str, Any]) -> str:
    return resolve_config({"episode": {"loss": loss}}, source="run.yaml").episode.loss.name


def total(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"name": "sum", "terms": list(terms)}


def test_a_term_alone_is_no_objective() -> None:
    refused = set()
    for entry in REGISTRIES["loss"]:
        if entry.name == "sum":
            continue
        try:
            assert objective({"name": entry.name}) == entry.name
        except ConfigError as error:
            refused.add(entry.name)
            assert str(error) == (
                f"run.yaml: episode.loss: '{entry.name}' is a term that is added to an objective and is none itself: write "
                f"{{name: sum, terms: [{{name: cross_entropy}}, {{name: {entry.name}, weight: 1.0}}]}}."
            )
    assert refused == TERMS


def test_a_sum_of_terms_alone_is_no_objective() -> None:
    mmce, entropy, plain = {"name": "mmce"}, {"name": "entropy", "weight": 0.1}, {"name": "cross_entropy"}
    for terms in ([mmce], [mmce, entropy], [{**plain, "weight": 0.0}, mmce], [total(mmce), entropy]):
        with pytest.raises(
            ConfigError, match=r"episode\.loss: the sum contains only auxiliary terms .*weight above 0\.$"
        ):
            objective(total(*terms))
    for terms in (
        [plain, mmce],
        [mmce, {"name": "focal"}],
        [mmce, total(entropy, plain)],
        [plain, total(mmce, entropy)],
    ):
        assert objective(total(*terms)) == "sum"


def test_the_line_of_a_file_is_named(tmp_path: Any) -> None:
    (tmp_path / "run.yaml").write_text("episode:\n  loss: {name: number_token}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml, line 2: episode\.loss: 'number_token' is a term"):
        load_config(tmp_path / "run.yaml")


def test_a_task_evaluation_needs_a_task() -> None:
    for setting in ("task_eval.problems=50", "task_eval.every=10", "task_eval={samples: 3}"):
        with pytest.raises(
            ConfigError,
            match=r"^--set: episode\.task_eval: answers are generated for the problems of a task, and the data has",
        ):
            load_config(None, [f"episode.{setting}"])
        load_config(None, [f"episode.{setting}", "data={name: task, task: {name: urns}, size: 10, validation: 5}"])
    assert load_config(None, ["episode.task_eval.problems=0"]).episode.task_eval.problems == 0
    assert load_config(None, ["episode.task_eval.problems=200"]).episode.task_eval.problems == 200


TASK = "data={name: task, task: {name: arithmetic}, size: 10, validation: 5}"


@pytest.mark.parametrize("key", ["best_metric", "early_stopping.metric"])
@pytest.mark.parametrize(
    ("metric", "other", "words"),
    [
        ("val_los", [], "evaluations of such a run do not measure 'val_los'. Did you mean 'val_loss'"),
        ("best_step", [], "'best_step' is a figure of a whole run"),
        ("val_objective", [], "They measure val_loss, val_accuracy, val_calibration_error."),
        ("task_eval.exact_match", [], "do not measure 'task_eval.exact_match'"),
        ("task_eval.exact_match", [TASK], "is measured once, at the end of the run. Set episode.task_eval.every"),
        ("task_eval.exact_mach", [TASK, "episode.task_eval.every=5"], "Did you mean 'task_eval.exact_match'"),
    ],
)
def test_a_metric_that_evaluations_do_not_measure_is_refused(
    key: str, metric: str, other: list[str], words: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(None, [*other, f"episode.{key}={metric}"])
    assert str(refusal.value).startswith(f"--set: episode.{key}: ") and words in str(refusal.value)


def test_the_best_checkpoint_may_go_by_any_metric_of_evaluations() -> None:
    doubled = "episode.loss={name: label_smoothing}"
    for metric, other in (
        ("val_accuracy", []),
        ("val_objective", [doubled]),
        ("task_eval.calibration.ece.value", [TASK, "episode.task_eval.every=5"]),
    ):
        episode = load_config(None, [*other, f"episode.best_metric={metric}", "episode.early_stopping={}"]).episode
        assert (episode.best_metric, episode.stopping_metric) == (metric, metric)


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_is_a_valid_config(name: str) -> None:
    config = load_config(preset_path(name), ["episode.steps=7"])
    assert config.episode.steps == 7
    assert config != load_config(None, ["episode.steps=7"])


@pytest.mark.parametrize("name", ["faster", "", "../config", "fast.yaml"])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"There is no preset '.*'\. The presets are: fast\."):
        preset_path(name)
