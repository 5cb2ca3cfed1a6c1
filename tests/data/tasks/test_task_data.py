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


def test_noisy_items_spell_the_noisy_answer_beside_the_truth() -> None:
    bundle = data(noise=LabelNoise(flip=0.3, ambiguous=0.2, coarse=0.1), size=600)
    noisy = ambiguous = 0
    for index in range(600):
        item = bundle.train[index]
        told = item["metadata"]
        spelled = CHARACTERS.decode(item["labels"][item["labels"] != IGNORE])
        assert spelled == told["answer"] + "\n"
        assert told["prompt"] + spelled == CHARACTERS.decode(item["input_ids"])
        assert told["truth"] == str(eval(told["prompt"].replace("?", "+")[:-1]))
        assert 0 <= told["uncertainty"] <= 1
        if told["answer"] != told["truth"]:
            assert told["uncertainty"] > 0
            assert told["noisy"] or told["ambiguous"]
        if "target_set" in told:
            assert told["answer"] in told["target_set"]
            weights = told["aligned"]["target_weights"]
            assert (weights.shape[1] > 1) == (len(told["target_set"]) > 1)
            asked = item["labels"] != IGNORE
            assert bool((weights[asked].sum(-1) > 0.999).all())
            assert not weights[~asked].any()
        noisy, ambiguous = noisy + told["noisy"], ambiguous + told["ambiguous"]
    report = bundle.report.to_dict()
    assert (report["noisy"], report["ambiguous"]) == (noisy, ambiguous)
    assert noisy > 150
    assert ambiguous > 40
    assert f"noise: {noisy:,} noisy answers, {ambiguous:,} with several readings" in bundle.report.lines()


def test_validation_stays_clean_unless_it_is_asked_for() -> None:
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


def test_true_probabilities_come_with_clean_options() -> None:
    bundle = data(Urns(), noise=LabelNoise(flip=0.3))
    for index, problem in enumerate(bundle.validation.problems):  # type: ignore[attr-defined]
        told = bundle.validation[index]["metadata"]
        assert told["option_probabilities"] == list(problem.option_probabilities)
        assert told["options"] == list(problem.options)
        assert sum(told["option_probabilities"]) == pytest.approx(1)
        assert not told["noisy"]


def test_the_report_counts_what_there_is() -> None:
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


def test_the_fingerprint_is_of_all_that_decides_the_items() -> None:
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


def test_problems_that_do_not_fit_are_refused() -> None:
    task = Arithmetic(levels=(5,), scratch=True)
    with pytest.raises(
        DataError, match="A training problem of arithmetic has .* tokens, and `data.context` 20 holds 21"
    ):
        data(task, context=20)
    bundle = data(task, context=200)
    longest = max(len(bundle.train[index]["input_ids"]) for index in range(300))
    held = max(len(bundle.validation[index]["input_ids"]) for index in range(50))
    data(task, context=max(longest, held) - 1)
    with pytest.raises(DataError, match="holds"):
        data(task, context=max(longest, held) - 2)
    with pytest.raises(ConfigError, match="data: a template needs {prompt}"):
        data(template="Q:")


def test_an_answer_that_contains_its_own_end_is_refused() -> None:
    class Lines:
        name = "lines"
        figures = ("exact_match",)
        identity: dict[str, object] = {}

        def split(self, split: str, count: int | None, seed: int) -> list[Problem]:
            return [Problem("Say two lines: ", "one\ntwo", "one\ntwo")]

        def score(self, problem: Problem, response: str) -> dict[str, float]:
            return {"exact_match": float(response == problem.truth)}

    with pytest.raises(
        DataError, match=r"A training answer of lines contains '\\n', with which the tokenizer character ends"
    ):
        data(Lines())


def test_a_batch_lines_up_what_is_known_of_each_token() -> None:
    bundle = data(noise=LabelNoise(flip=0.3))
    batch = collate_indices(bundle.train, list(range(16)))
    assert batch.metadata["truth"] == [bundle.train[index]["metadata"]["truth"] for index in range(16)]
    assert batch.metadata["uncertainty"] == [bundle.train[index]["metadata"]["uncertainty"] for index in range(16)]
    assert batch.metadata["index"] == list(range(16))


def test_the_components_say_what_their_parameters_mean() -> None:
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
    done = trimtab.train(config, tmp_path / "run")
    assert done["status"] == "completed"
    with pytest.raises(ConfigError, match=r"data\.noise\.flipp"):
        load_config(None, ["data={name: task, task: {name: urns}, noise: {flipp: 0.3}}"])
    with pytest.raises(ConfigError, match="only doubtful rows are flipped"):
        load_config(None, ["data={name: task, task: {name: urns}, noise: {flip: 0.9}}"])
