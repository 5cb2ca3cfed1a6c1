import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trimtab.data.tasks import Number, Problem, Role
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.noise import LabelNoise, with_noise
from trimtab.data.tasks.noise.answers import Label, Pool, final_quantity, near_numbers, relabelled, rounded
from trimtab.data.tasks.urns import Urns
from trimtab.errors import ConfigError, DataError
from trimtab.training.components import DATA

SUMS = Arithmetic(levels=(1, 2), operations=("sum", "difference"))


class Words:
    """A task with text answers, which noise replaces by the answers of other problems."""

    name = "words"
    metrics = ("exact_match",)
    identity: Mapping[str, object] = {}

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = answers

    def split(self, split: str, count: int | None, seed: int) -> list[Problem]:
        rng = random.Random(seed)
        drawn = [rng.choice(self.answers) for _ in range(count or 0)]
        return [Problem(f"{number}:", answer, answer) for number, answer in enumerate(drawn)]


@cache
def problems_of(task: object, count: int, seed: int) -> list[Problem]:
    return task.split("train", count, seed)  # type: ignore[attr-defined, no-any-return]


def noisy(noise: LabelNoise, task: object = SUMS, count: int = 2000, seed: int = 3) -> list[Problem]:
    return with_noise(problems_of(task, count, seed), noise, task, "train", seed)


def changed(problems: Sequence[Problem]) -> dict[int, str]:
    return {place: problem.answer for place, problem in enumerate(problems) if "flip" in problem.provenance}


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 1.0]), st.integers(1, 30))
def test_near_numbers_fall_off_geometrically(amount: int, decay: float, reach: int) -> None:
    weights = near_numbers(f"so {amount}", decay, reach)
    assert sum(weights.values()) == pytest.approx(1)
    right = {
        f"so {other}": decay ** (abs(other - amount) - 1)
        for other in range(max(0, amount - reach), amount + reach + 1)
        if other != amount
    }
    total = sum(right.values())
    assert weights == pytest.approx({text: weight / total for text, weight in right.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", {"0", "2"}),
        ("0", {"1"}),
        ("-1", {"-2", "0"}),
        ("2.50", {"2.49", "2.51"}),
        ("0.00", {"0.01"}),
        ("1,000", {"999", "1,001"}),
        ("099", {"098", "100"}),
        ("x=3;12", {"x=3;11", "x=3;13"}),
        ("#### 18", {"#### 17", "#### 19"}),
    ],
)
def test_near_numbers_keep_the_format_of_the_number(text: str, expected: set[str]) -> None:
    assert set(near_numbers(text, 0.5, 1)) == expected


@pytest.mark.parametrize(
    ("text", "to", "expected"),
    [
        ("84", 10, "80"),
        ("85", 10, "90"),
        ("4", 10, "0"),
        ("1,249", 100, "1,200"),
        ("-85", 10, "-90"),
        ("12.51", 5, "15"),
        ("7", 2, "8"),
        ("a;151", 100, "a;200"),
        ("-3", 10, "0"),
    ],
)
def test_rounding_keeps_the_format_of_the_number(text: str, to: int, expected: str) -> None:
    assert rounded(text, to) == expected


def test_only_a_quantity_at_the_end_of_an_answer_can_be_changed() -> None:
    assert final_quantity(Label("x 12", ())) == 2
    assert final_quantity(Label("x 12", (Number(2, 4, Role.QUANTITY),))) == 2
    assert final_quantity(Label("bus 12", (Number(4, 6, Role.CATEGORY),))) is None
    for text in ("", "yes", "12 apples", "12.", "a12-"):
        assert final_quantity(Label(text, ())) is None
    assert relabelled(Label("-1", (Number(1, 2, Role.QUANTITY),)), "0").numbers == (Number(0, 1, Role.QUANTITY),)
    assert relabelled(Label("9;99", (Number(0, 1, Role.INDEX), Number(2, 4, Role.QUANTITY))), "9;100").numbers == (
        Number(0, 1, Role.INDEX),
        Number(2, 5, Role.QUANTITY),
    )


@pytest.mark.parametrize("kind", ["near", "uniform"])
def test_flips_have_the_configured_share_and_the_recorded_distribution(kind: str) -> None:
    problems = noisy(LabelNoise(flip=0.3, flip_kind=kind, doubtful=0.5), count=6000)  # type: ignore[arg-type]
    assert abs(sum(problem.noisy for problem in problems) / 6000 - 0.3) < 4 * sqrt(0.3 * 0.7 / 6000)
    excess: Counter[str] = Counter()
    variance: Counter[str] = Counter()
    for problem in problems:
        assert problem.noisy == (problem.answer != problem.truth) == ("flip" in problem.provenance)
        assert int(problem.truth) == eval(problem.prompt[:-1])
        if problem.provenance["group"] == "clean":
            assert (problem.accepted, problem.noisy) == ((), False)
            continue
        known = dict(problem.accepted)
        assert sum(known.values()) == pytest.approx(1)
        assert known[problem.truth] == pytest.approx(0.4)
        assert problem.answer in known
        for text, chance in known.items():
            distance = str(int(text) - int(problem.truth))
            excess[distance] += (problem.answer == text) - chance  # type: ignore[assignment]
            variance[distance] += chance * (1 - chance)  # type: ignore[assignment]
    assert len(excess) == 21
    assert all(abs(total) < 4.5 * sqrt(variance[distance]) for distance, total in excess.items())


def test_the_problems_are_the_same_with_and_without_noise() -> None:
    everything = noisy(LabelNoise(flip=0.4, coarse=0.3, ambiguous=0.3), count=300)
    plain_ones = SUMS.split("train", 300, 3)
    assert [problem.question for problem in everything] == [problem.question for problem in plain_ones]
    for plain, noised in zip(plain_ones, noisy(LabelNoise(flip=0.4, coarse=0.3), count=300), strict=True):
        unchanged = ("prompt", "truth", "level", "key", "prompt_numbers")
        assert all(getattr(plain, name) == getattr(noised, name) for name in unchanged)


@given(st.floats(0.05, 0.45), st.floats(0, 0.5))
def test_a_larger_share_flips_the_same_rows_in_the_same_way_and_more(small: float, more: float) -> None:
    shares = (small, min(small + more, 0.5))
    first, second = (changed(noisy(LabelNoise(flip=share), count=200)) for share in shares)
    assert first.items() <= second.items()


def test_kinds_of_noise_do_not_change_each_others_draws() -> None:
    alone = changed(noisy(LabelNoise(flip=0.3), count=600))
    both = noisy(LabelNoise(flip=0.3, ambiguous=0.2, coarse=0.2), count=600)
    assert set(alone) == set(changed(both))
    same = {place: text for place, text in alone.items() if not {"ambiguous", "coarse"} & both[place].provenance.keys()}
    assert len(same) > 50
    assert all(both[place].answer == text for place, text in same.items())


def test_ambiguous_questions_have_both_readings_and_labels_of_either() -> None:
    problems = noisy(LabelNoise(ambiguous=0.5, second=0.3), count=3000)
    ambiguous = [problem for problem in problems if problem.ambiguous]
    assert abs(len(ambiguous) / 3000 - 0.5) < 0.04
    second = 0
    for problem in ambiguous:
        plus, minus = (str(eval(problem.prompt.replace("?", sign)[:-1])) for sign in "+-")
        assert dict(problem.accepted) == pytest.approx({plus: 0.7, minus: 0.3})
        assert dict(problem.readings) == pytest.approx({plus: 0.7, minus: 0.3})
        assert problem.truth == plus
        assert problem.answer in (plus, minus)
        assert (problem.noisy, problem.uncertainty) == (False, pytest.approx(0.3))
        second += problem.answer == minus
    assert abs(second / len(ambiguous) - 0.3) < 0.05
    assert all("?" not in problem.prompt for problem in problems if not problem.ambiguous)


def test_ambiguous_questions_stay_in_their_split() -> None:
    noise = LabelNoise(ambiguous=1.0, validation=True)
    task = Arithmetic(levels=(1,), operations=("sum", "difference", "chain"))
    splits = [
        {problem.prompt for problem in with_noise(task.split(split, count, 0), noise, task, split, 0)}
        for split, count in (("train", 3000), ("validation", 200))
    ]
    assert all("?" in prompt for prompt in splits[0] & splits[1]) and not splits[0] & splits[1]


def test_a_flipped_reading_has_the_exact_mixture() -> None:
    problems = noisy(LabelNoise(flip=0.3, ambiguous=1.0, reach=1), count=500)
    both = next(problem for problem in problems if problem.provenance["group"] == "doubtful")
    plus, minus = (int(eval(both.prompt.replace("?", sign)[:-1])) for sign in "+-")
    right: Counter[str] = Counter()
    for reading in (plus, minus):
        near = [other for other in (reading - 1, reading + 1) if other >= 0]
        right[str(reading)] += 0.5 * 0.4  # type: ignore[assignment]
        for other in near:
            right[str(other)] += 0.5 * 0.6 / len(near)  # type: ignore[assignment]
    assert dict(both.accepted) == pytest.approx(dict(right))
    assert both.uncertainty == pytest.approx(1 - 0.4 * 0.5)


def test_right_answers_stay_right_when_wrong_answers_become_possible() -> None:
    class Several(Words):
        def split(self, split: str, count: int | None, seed: int) -> list[Problem]:
            return [Problem("p", "1", "1", accepted=(("1", 0.5), ("5", 0.5)))] * (count or 0)

    for problem in noisy(LabelNoise(flip=0.5, doubtful=1.0, reach=1), Several([]), 20):
        assert dict(problem.accepted) == pytest.approx(
            {"1": 0.25, "0": 0.125, "2": 0.125, "5": 0.25, "4": 0.125, "6": 0.125}
        )
        assert problem.readings == (("1", 0.5), ("5", 0.5))
        assert problem.right_answers == ("1", "5")
    for problem in noisy(LabelNoise(flip=0.3, coarse=0.3, validation=True), count=300):
        assert SUMS.score(problem, problem.truth) == {"exact_match": 1}
        assert SUMS.score(problem, problem.answer)["exact_match"] == (problem.answer == problem.truth)
        assert problem.right_answers == (problem.truth,)


def test_the_noise_and_uncertainty_of_the_task_itself_are_kept() -> None:
    class Mislabelled(Words):
        def split(self, split: str, count: int | None, seed: int) -> list[Problem]:
            return [Problem("p", "7", "9", noisy=True, uncertainty=0.2, provenance={"source": "x"})] * (count or 0)

    for problem in noisy(LabelNoise(flip=0.25), Mislabelled([]), 50):
        assert problem.noisy
        assert problem.provenance["source"] == "x"
        assert problem.uncertainty == pytest.approx(0.2 if problem.provenance["group"] == "clean" else 1 - 0.8 * 0.5)


def test_coarse_answers_are_rounded_and_tagged() -> None:
    problems = noisy(LabelNoise(coarse=0.4, coarse_to=20), count=2000)
    rounded_ones = [problem for problem in problems if "coarse" in problem.provenance]
    assert abs(len(rounded_ones) / 2000 - 0.4) < 0.05
    for problem in rounded_ones:
        assert int(problem.answer) % 20 == 0
        assert abs(int(problem.answer) - int(problem.truth)) <= 10
        assert problem.uncertainty == pytest.approx(0.95)
        assert problem.accepted == ((problem.answer, 1.0),)
        assert problem.noisy == (problem.answer != problem.truth)
        assert problem.answer_numbers[-1].end == len(problem.answer)
    assert all(
        problem.answer == problem.truth and not problem.uncertainty
        for problem in problems
        if problem not in rounded_ones
    )


def test_options_are_flipped_to_other_options_with_exact_probabilities() -> None:
    task = Urns(levels=(1, 2, 3, 4, 5))
    plain = task.split("train", 4000, 3)
    problems = noisy(LabelNoise(flip=0.3), task, count=4000)
    assert abs(sum(problem.noisy for problem in problems) / 4000 - 0.3) < 0.04
    excess = variance = 0.0
    for before, after in zip(plain, problems, strict=True):
        share = 0.6 if after.provenance["group"] == "doubtful" else 0.0
        others = len(before.options) - 1
        right = [(1 - share) * p + share * (1 - p) / others for p in before.option_probabilities]
        assert after.option_probabilities == pytest.approx(right)
        assert after.accepted == ()
        assert (after.answer != before.answer) == after.noisy == ("flip" in after.provenance)
        assert after.answer in after.options
        assert after.answer_numbers == before.answer_numbers
        assert after.truth == before.truth
        likeliest = right[before.options.index(before.truth)]
        assert after.uncertainty == pytest.approx(1 - likeliest)
        excess += (after.answer == before.truth) - likeliest
        variance += likeliest * (1 - likeliest)
    assert abs(excess) < 4 * sqrt(variance)


def test_text_answers_are_replaced_in_proportion_to_their_frequency() -> None:
    task = Words(["oak", "oak", "ash", "elm and yew"])
    plain, noised = task.split("train", 4000, 1), noisy(LabelNoise(flip=0.5, doubtful=1.0), task, 4000, 1)
    counts = Counter(problem.answer for problem in plain)
    to: Counter[tuple[str, str]] = Counter()
    for before, after in zip(plain, noised, strict=True):
        others = {text: count for text, count in counts.items() if text != before.answer}
        right = {text: 0.5 * count / sum(others.values()) for text, count in others.items()} | {before.answer: 0.5}
        assert dict(after.accepted) == pytest.approx(right)
        to[before.answer, after.answer] += 1
    for (one, other), count in to.items():
        known = 0.5 if one == other else 0.5 * counts[other] / (4000 - counts[one])
        assert abs(count / counts[one] - known) < 4 * sqrt(known * (1 - known) / counts[one])
    assert len(to) == 9


def test_the_distribution_of_many_texts_is_not_kept() -> None:
    problems = noisy(LabelNoise(flip=0.4), Words([f"word {'x' * length}" for length in range(40)]), 300)
    assert any(problem.noisy for problem in problems)
    assert all(problem.accepted == () for problem in problems)


@given(
    st.lists(st.sampled_from("abcd"), min_size=2).filter(lambda texts: len(set(texts)) > 1),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wrong_answer_from_the_pool_is_never_the_right_one(texts: list[str], draw: float) -> None:
    pool = Pool([Problem("", text, text) for text in texts])
    for text in texts:
        label = pool.wrong(text, draw)
        assert label.text != text
        assert pool.weights(text)[label.text] > 0  # type: ignore[index]
    # The other answers divide [0, 1) among themselves.
    text, others = texts[0], [other for other in texts if other != texts[0]]
    wrong = [pool.wrong(text, (place + 0.5) / len(others)).text for place in range(len(others))]
    assert sorted(wrong) == sorted(others)


def test_exact_tags_are_the_probability_of_a_wrong_label() -> None:
    problems = noisy(LabelNoise(flip=0.3, doubtful=0.5))
    assert {round(problem.uncertainty, 12) for problem in problems} == {0.0, 0.6}
    for group, share in (("clean", 0.0), ("doubtful", 0.6)):
        own = [problem for problem in problems if problem.provenance["group"] == group]
        assert {round(problem.uncertainty, 12) for problem in own} == {share}
        assert sum(problem.noisy for problem in own) / len(own) == pytest.approx(share, abs=0.06)


def test_other_tags() -> None:
    def tags(kind: str, **more: float) -> list[float]:
        return [p.uncertainty for p in noisy(LabelNoise(flip=0.3, tags=kind, **more))]  # type: ignore[arg-type]

    exact, shuffled = tags("exact"), tags("shuffled")
    assert shuffled != exact
    assert sorted(shuffled) == sorted(exact)
    agreement = sum(one == other for one, other in zip(exact, shuffled, strict=True)) / len(exact)
    assert abs(agreement - 0.5) < 0.06
    blurred = tags("noisy", tag_noise=0.1)
    assert all(0 <= tag <= 1 for tag in blurred)
    assert 0.02 < sum(abs(one - other) for one, other in zip(exact, blurred, strict=True)) / len(exact) < 0.1
    assert tags("noisy", tag_noise=0.0) == exact
    assert set(tags("none")) == {0.0}
    problems = noisy(LabelNoise(flip=0.3, tags="oracle"))
    assert all(problem.uncertainty == problem.noisy for problem in problems)
    # Only the tags differ: labels and what is known of them are the same.
    plain = noisy(LabelNoise(flip=0.3))
    assert [replace(problem, uncertainty=0.0) for problem in plain] == [replace(p, uncertainty=0.0) for p in problems]
    assert [problem.provenance["exact"] for problem in problems] == exact


def test_a_single_group_has_one_tag() -> None:
    problems = noisy(LabelNoise(flip=0.3, doubtful=1.0))
    assert {round(problem.uncertainty, 12) for problem in problems} == {0.3}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="only doubtful rows are flipped"):
        LabelNoise(flip=0.6)
    with pytest.raises(ConfigError, match="urns has no questions that can be read in two ways"):
        noisy(LabelNoise(ambiguous=0.1), Urns())
    with pytest.raises(DataError, match="none of the train problems of arithmetic has a second reading"):
        noisy(LabelNoise(ambiguous=0.5), Arithmetic(operations=("product",)), 50)
    with pytest.raises(DataError, match="none of the train answers of words ends in a number"):
        noisy(LabelNoise(coarse=0.5), Words(["a", "b"]), 50)
    with pytest.raises(DataError, match="every problem has the answer 'a'"):
        noisy(LabelNoise(flip=0.4), Words(["a"]), 50)
    assert len(noisy(LabelNoise(ambiguous=0.01), Arithmetic(levels=(1,)), 3)) == 3  # nothing drawn is no error


def test_noise_is_a_key_of_the_data_with_its_defaults() -> None:
    spec = DATA.resolve({"name": "task", "noise": {"flip": 0.3}})
    assert spec["noise"] == LabelNoise(flip=0.3).model_dump(mode="json")
    assert DATA.resolve({"name": "task"})["noise"] is None
    with pytest.raises(ValidationError, match="flips"):
        DATA.resolve({"name": "task", "noise": {"flips": 0.3}})
