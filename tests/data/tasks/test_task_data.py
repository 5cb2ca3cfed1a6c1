from pathlib import Path

import pytest

import trimtab
from trimtab.config import ConfigError
from trimtab.data import CharacterTokenizer, DataBundle
from trimtab.data.batch import IGNORE
from trimtab.data.loader import collate_indices
from trimtab.data.tasks import Problem, Task, task_data
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.noise import LabelNoise
from trimtab.data.tasks.urns import Urns
from trimtab.errors import DataError
from trimtab.training.components import DATA, TASKS
from trimtab.training.config import load_config

CHARACTERS = CharacterTokenizer()


def data(task: Task | None = None, **parameters: object) -> DataBundle:
    known = {"size": 300, "validation": 50, "context": 64, "seed": 2}
    return task_data(tokenizer=CHARACTERS, task=task or Arithmetic(levels=(1, 2)), **{**known, **parameters})  # type: ignore[arg-type]


def test_the_labels_of_noisy_items_are_the_noisy_answer() -> None:
    bundle = data(noise=LabelNoise(flip=0.3, ambiguous=0.2, coarse=0.1), size=600)
    noisy = ambiguous = 0
    for index in range(600):
        item = bundle.train[index]
        metadata = item["metadata"]
        spelled = CHARACTERS.decode(item["labels"][item["labels"] != IGNORE])
        assert spelled == metadata["answer"] + "\n"
        assert metadata["prompt"] + spelled == CHARACTERS.decode(item["input_ids"])
        assert metadata["truth"] == str(eval(metadata["prompt"].replace("?", "+")[:-1]))
        assert 0 <= metadata["uncertainty"] <= 1
        if metadata["answer"] != metadata["truth"]:
            assert metadata["uncertainty"] > 0
            assert metadata["noisy"] or metadata["ambiguous"]
        if "target_set" in metadata:
            assert metadata["answer"] in metadata["target_set"]
            weights = metadata["aligned"]["target_weights"]
            assert (weights.shape[1] > 1) == (len(metadata["target_set"]) > 1)
            label_mask = item["labels"] != IGNORE
            assert bool((weights[label_mask].sum(-1) > 0.999).all())
            assert not weights[~label_mask].any()
        noisy, ambiguous = noisy + metadata["noisy"], ambiguous + metadata["ambiguous"]
    report = bundle.report.to_dict()
    assert (report["noisy"], report["ambiguous"]) == (noisy, ambiguous)
    assert noisy > 150
    assert ambiguous > 40
    assert f"noise: {noisy:,} noisy answers, {ambiguous:,} with several readings" in bundle.report.lines()


def test_the_validation_split_has_noise_only_if_configured() -> None:
    def labels(bundle: DataBundle) -> list[tuple[str, str]]:
        return [
            (item["metadata"]["answer"], item["metadata"]["truth"])
            for item in (bundle.validation[i] for i in range(50))
        ]

    plain = labels(data())
    assert labels(data(noise=LabelNoise(flip=0.4))) == plain
    changed = labels(data(noise=LabelNoise(flip=0.4, validation=True)))
    assert [truth for _, truth in changed] == [truth for _, truth in plain]
    assert 10 < sum(answer != truth for answer, truth in changed) < 30


def test_clean_validation_items_have_the_true_probabilities() -> None:
    bundle = data(Urns(), noise=LabelNoise(flip=0.3))
    for index, problem in enumerate(bundle.validation.problems):  # type: ignore[attr-defined]
        metadata = bundle.validation[index]["metadata"]
        assert metadata["option_probabilities"] == list(problem.option_probabilities)
        assert metadata["options"] == list(problem.options)
        assert sum(metadata["option_probabilities"]) == pytest.approx(1)
        assert not metadata["noisy"]


def test_the_report_counts_problems_levels_and_tokens() -> None:
    bundle = data(Arithmetic(levels=(1, 2, 5)), size=301)
    report = bundle.report.to_dict()
    assert (report["name"], report["train"], report["validation"]) == ("arithmetic", 301, 50)
    assert report["levels"] == {"1": 101, "2": 100, "5": 100}
    assert (
        report["tokens"] == bundle.report.tokens == sum(len(bundle.train[index]["input_ids"]) for index in range(301))
    )
    assert bundle.report.lines()[0] == (
        "arithmetic: 301 training problems (101 of level 1, 100 of level 2, 100 of level 5), 50 for validation, none shared"
    )
    assert bundle.opening_text().startswith(bundle.train.problems[0].prompt)  # type: ignore[attr-defined]
    assert bundle.task is not None


def test_the_fingerprint_depends_on_everything_that_determines_the_items() -> None:
    first = data().fingerprint
    assert data().fingerprint == first
    assert data(context=90).fingerprint == first
    others = [
        data(seed=3),
        data(size=299),
        data(validation=49),
        data(template="{prompt} "),
        data(Arithmetic(levels=(1,))),
        data(Arithmetic(levels=(1, 2), scratch=True)),
        data(Arithmetic(levels=(1, 2), carries=1)),
        data(noise=LabelNoise()),
        data(noise=LabelNoise(tags="shuffled")),
        data(Urns()),
    ]
    assert len({first, *(bundle.fingerprint for bundle in others)}) == len(others) + 1


def test_problems_that_do_not_fit_into_the_context_are_refused() -> None:
    task = Arithmetic(levels=(5,), scratch=True)
    with pytest.raises(
        DataError, match="A train problem of arithmetic has .* tokens, but `data.context` 20 allows at most 21"
    ):
        data(task, context=20)
    bundle = data(task, context=200)
    longest = max(len(bundle.train[index]["input_ids"]) for index in range(300))
    longest_validation = max(len(bundle.validation[index]["input_ids"]) for index in range(50))
    data(task, context=max(longest, longest_validation) - 1)
    with pytest.raises(DataError, match="allows at most"):
        data(task, context=max(longest, longest_validation) - 2)
    with pytest.raises(ConfigError, match="data: a template must contain {prompt}"):
        data(template="Q:")


def test_an_answer_that_contains_the_end_token_is_refused() -> None:
    class Lines:
        name = "lines"
        metrics = ("exact_match",)
        identity: dict[str, object] = {}

        def split(self, split: str, count: int | None, seed: int) -> list[Problem]:
            return [Problem("Say two lines: ", "one\ntwo", "one\ntwo")]

        def score(self, problem: Problem, response: str) -> dict[str, float]:
            return {"exact_match": float(response == problem.truth)}

    with pytest.raises(
        DataError, match=r"A train answer of lines contains '\\n', with which the tokenizer character ends"
    ):
        data(Lines())


def test_a_batch_collects_the_metadata_of_its_items() -> None:
    bundle = data(noise=LabelNoise(flip=0.3))
    batch = collate_indices(bundle.train, list(range(16)))
    assert batch.metadata["truth"] == [bundle.train[index]["metadata"]["truth"] for index in range(16)]
    assert batch.metadata["uncertainty"] == [bundle.train[index]["metadata"]["uncertainty"] for index in range(16)]
    assert batch.metadata["index"] == list(range(16))


def test_all_parameters_of_the_components_have_a_description() -> None:
    for name in ("arithmetic", "urns"):
        assert all(parameter.description for parameter in TASKS.parameters(name))
    assert all(parameter.description for parameter in DATA.parameters("task"))
    assert all(field.description for field in LabelNoise.model_fields.values())


def test_a_run_on_a_noisy_task_from_its_config(tmp_path: Path) -> None:
    noise = "{flip: 0.3, ambiguous: 0.1}"
    config = load_config(
        None,
        [
            f"data={{name: task, task: {{name: arithmetic, levels: [1]}}, size: 200, validation: 20, context: 24, noise: {noise}}}",
            "model={name: decoder, layers: 1, width: 16, heads: 2}",
            "episode.steps=3",
            "episode.batch_size=4",
            "episode.evaluate_every=3",
            "threads=1",
        ],
    )
    assert config.data.spec["noise"]["flip"] == 0.3
    result = trimtab.train(config, tmp_path / "run")
    assert result["status"] == "completed"
    with pytest.raises(ConfigError, match=r"data\.noise\.flipp"):
        load_config(None, ["data={name: task, task: {name: urns}, noise: {flipp: 0.3}}"])
    with pytest.raises(ConfigError, match="only doubtful rows are flipped"):
        load_config(None, ["data={name: task, task: {name: urns}, noise: {flip: 0.9}}"])
