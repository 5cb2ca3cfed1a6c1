from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.data import CharacterTokenizer, FileTokenizer, Tokenizer, train_bpe
from trimtab.data.batch import IGNORE
from trimtab.data.loader import collate_indices
from trimtab.data.tasks import Number, Problem, ProblemDataset, Role
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.noise import LabelNoise, with_noise
from trimtab.data.tasks.urns import Urns

CHARACTERS = CharacterTokenizer()


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A small byte-level BPE trained on arithmetic, so that numbers are single tokens of several digits."""
    folder = tmp_path_factory.mktemp("bpe")
    problems = Arithmetic(levels=(1, 2)).split("train", 3000, 0)
    (folder / "text.txt").write_text("\n".join(f"Find {p.prompt} {p.answer}" for p in problems))
    tokenizer: Tokenizer = train_bpe(str(folder / "text.txt"), 500, folder / "tokenizer.json")
    return tokenizer


def facts(dataset: ProblemDataset, index: int = 0) -> list[tuple[str, int, int, bool]]:
    """Each token of an item: its text, role, place, and whether it has a label."""
    item = dataset[index]
    aligned = item["metadata"]["aligned"]
    texts = [dataset.tokenizer.decode([token]) for token in item["input_ids"].tolist()]
    labelled = (item["labels"] != IGNORE).tolist()
    return list(zip(texts, aligned["role"].tolist(), aligned["place"].tolist(), labelled, strict=True))


def test_roles_places_and_labels_of_a_problem_in_characters() -> None:
    problem = Problem(
        "7.25+12=",
        "19.25",
        "19.25",
        prompt_numbers=(Number(0, 4, Role.QUANTITY), Number(5, 7, Role.INDEX)),
        answer_numbers=(Number(0, 5, Role.QUANTITY),),
    )
    tokens = facts(ProblemDataset([problem], CHARACTERS))
    assert tokens == [
        ("7", 1, 0, False),
        (".", 1, -1, False),
        ("2", 1, -2, False),
        ("5", 1, -3, False),
        ("+", 0, -1, False),
        ("1", 3, 1, False),
        ("2", 3, 0, False),
        ("=", 0, -1, False),
        ("1", 1, 1, True),
        ("9", 1, 0, True),
        (".", 1, -1, True),
        ("2", 1, -2, True),
        ("5", 1, -3, True),
        ("\n", 4, -1, True),
    ]


def test_separators_and_structure_have_no_digit_place() -> None:
    text = "1,234;5"
    numbers = (Number(0, 7, Role.STRUCTURE), Number(0, 5, Role.QUANTITY))
    tokens = facts(ProblemDataset([Problem("", text, text, answer_numbers=numbers)], CHARACTERS))
    assert [place for _, _, place, _ in tokens] == [3, -1, 2, 1, 0, -1, -1, -1]
    assert [role for _, role, _, _ in tokens] == [1, 1, 1, 1, 1, 4, 4, 4]


def test_a_template_shifts_roles_and_places_with_the_prompt() -> None:
    problem = Problem("37+4=", "41", "41", prompt_numbers=(Number(0, 2, Role.QUANTITY),))
    dataset = ProblemDataset([problem], CHARACTERS, template="<9> {prompt} 1")
    assert dataset.prompt_text(problem) == "<9> 37+4= 1"
    assert [(text, place) for text, role, place, _ in facts(dataset) if role == Role.QUANTITY] == [("3", 1), ("7", 0)]
    assert dataset.prompt_ids(problem).tolist() == CHARACTERS.encode("<9> 37+4= 1").tolist()
    for template in ("", "no prompt", "{prompt"):
        with pytest.raises(ValueError, match="a template must contain {prompt}"):
            ProblemDataset([problem], CHARACTERS, template=template)


@given(st.integers(0, 2**20), st.booleans())
@settings(deadline=None)
def test_numbers_of_any_problem_are_spelled_by_tokens_of_their_role(seed: int, scratch: bool) -> None:
    problems = Arithmetic(levels=(1, 3, 5), scratch=scratch).split("train", 3, seed)
    dataset = ProblemDataset(problems, CHARACTERS)
    for index, problem in enumerate(problems):
        tokens = facts(dataset, index)
        text = problem.prompt + problem.answer
        assert "".join(token for token, _, _, _ in tokens) == text + "\n"
        for token, role, place, _ in tokens:
            assert role == (Role.QUANTITY if token.isdigit() else Role.STRUCTURE)
            assert (place >= 0) == token.isdigit()
        # Digits with their places add up to the numbers.
        total = sum(int(token) * 10**place for token, _, place, _ in tokens if place >= 0)
        numbers = "".join(
            character if character.isdigit() else " " for character in problem.prompt + " " + problem.answer
        )
        assert total == sum(map(int, numbers.split()))


def test_tokens_of_several_characters(bpe: Tokenizer) -> None:
    problems = Arithmetic(levels=(1, 2)).split("train", 300, 1)
    dataset = ProblemDataset(problems, bpe)
    longest = 0
    for index, problem in enumerate(problems):
        result = facts(dataset, index)
        assert "".join(token for token, _, _, _ in result) == problem.prompt + problem.answer + "\n"
        for part, text in ((False, problem.prompt), (True, problem.answer)):
            tokens = [fact for fact in result if fact[3] == part]
            start = 0
            for token, role, place, _ in tokens[: len(tokens) - part]:
                after = text[start + len(token) :]
                digits = len(after) - len(after.lstrip("0123456789"))
                assert role == (Role.QUANTITY if any(map(str.isdigit, token)) else Role.STRUCTURE)
                assert place == (digits if token.isdigit() else -1)  # the place of a token's last digit
                start += len(token)
                longest = max(longest, len(token) if place >= 0 else 0)
            assert start == len(text)
    assert longest >= 2
    spaced = Problem("Find 12 +", " 34", " 34", answer_numbers=(Number(1, 3, Role.QUANTITY),))
    (token, role, place, _), *_ = [fact for fact in facts(ProblemDataset([spaced], bpe)) if fact[3]]
    if token == " 34":
        assert (role, place) == (Role.QUANTITY, 0)


def test_prompt_and_answer_are_encoded_separately(bpe: Tokenizer) -> None:
    problem = Problem("12", "34", "34")
    dataset = ProblemDataset([problem], bpe)
    item = dataset[0]
    label_mask = item["labels"] != IGNORE
    assert item["input_ids"][~label_mask].tolist() == dataset.prompt_ids(problem).tolist() == bpe.encode("12").tolist()
    assert (
        item["labels"][label_mask].tolist()
        == dataset.answer_ids("34").tolist()
        == [*bpe.encode("34").tolist(), dataset.end]
    )
    assert dataset.length(problem) == len(item["input_ids"])


def brute_force(dataset: ProblemDataset, problem: Problem) -> list[dict[int, float]]:
    """The next token's distribution after each prefix of the labels: count the answers that have the prefix."""
    labels = dataset.answer_ids(problem.answer).tolist()
    spelled = [(dataset.answer_ids(text).tolist(), weight) for text, weight in problem.answers]
    rows = []
    for place in range(len(labels)):
        row: Counter[int] = Counter()
        for tokens, weight in spelled:
            if tokens[:place] == labels[:place]:
                row[tokens[place]] += weight  # type: ignore[assignment]
        total = sum(row.values())
        rows.append({token: weight / total for token, weight in row.items()})
    return rows


@pytest.mark.parametrize("characters", [True, False])
def test_target_sets_are_the_exact_distribution_of_each_next_token(characters: bool, bpe: Tokenizer) -> None:
    sums, urns = Arithmetic(levels=(1, 2), operations=("sum", "difference")), Urns()
    problems = [
        *with_noise(sums.split("train", 150, 0), LabelNoise(flip=0.4, ambiguous=0.5, coarse=0.2), sums, "train", 0),
        *urns.split("train", 50, 0),
    ]
    dataset = ProblemDataset(problems, CHARACTERS if characters else bpe)
    several = 0
    for index, problem in enumerate(problems):
        item = dataset[index]
        aligned, prompt = item["metadata"]["aligned"], len(dataset.prompt_ids(problem))
        ids, weights = aligned["target_ids"], aligned["target_weights"]
        if len(problem.answers) < 2:  # a set of one: the label itself
            assert ids[prompt:, 0].tolist() == item["labels"][prompt:].tolist()
            assert weights[prompt:].tolist() == [[1.0]] * len(weights[prompt:]) and not weights[:prompt].any()
            continue
        several += 1
        assert ids.dtype == torch.int64
        assert weights.dtype == torch.float32
        assert ids.shape == weights.shape == (len(item["input_ids"]), ids.shape[1])
        assert not weights[:prompt].any()
        for row, known in enumerate(brute_force(dataset, problem), prompt):
            targets = dict(zip(ids[row].tolist(), weights[row].tolist(), strict=True))
            targets = {token: weight for token, weight in targets.items() if weight}
            assert targets == pytest.approx(known, abs=1e-6)
            assert int(item["labels"][row]) in targets
            assert float(weights[row].sum()) == pytest.approx(1, abs=1e-6)
    assert several > 100


def test_items_are_the_same_when_they_come_again_and_are_the_callers_own() -> None:
    dataset = ProblemDataset(Arithmetic().split("train", 5, 0), CHARACTERS)
    first, again = dataset[2], dataset[2]
    assert torch.equal(first["input_ids"], again["input_ids"])
    first["metadata"].pop("aligned")
    assert "aligned" in dataset[2]["metadata"]
    assert first["metadata"]["truth"] == dataset.problems[2].truth
    assert dataset.difficulty().tolist() == [1, 2, 3, 1, 2]
    assert len(dataset) == 5


def test_the_end_of_an_answer() -> None:
    class WithEnd(CharacterTokenizer):
        end = 5

    assert ProblemDataset([], CHARACTERS).end == CHARACTERS.encode("\n")[0]
    assert ProblemDataset([], WithEnd()).end == 5
    with pytest.raises(ValueError, match="has neither an end token nor a token for a newline"):
        ProblemDataset([], CharacterTokenizer(policy="printable"))


def test_a_batch_of_kept_items_encodes_nothing_again() -> None:
    class Counting(CharacterTokenizer):
        calls = 0

        def encode(self, text):
            Counting.calls += 1
            return super().encode(text)

        def spans(self, text):
            Counting.calls += 1
            return super().spans(text)

    dataset = ProblemDataset(Arithmetic().split("train", 64, 0), Counting())
    begun = Counting.calls
    first = collate_indices(dataset, list(range(64)))
    made = Counting.calls
    assert made >= begun + 64
    again = collate_indices(dataset, list(range(64)))
    assert Counting.calls == made and torch.equal(again.input_ids, first.input_ids)


def test_a_tokenizer_file_is_as_good(bpe: Tokenizer, tmp_path: Path) -> None:
    assert isinstance(bpe, FileTokenizer)
    dataset = ProblemDataset(Urns().split("train", 20, 0), bpe)
    assert all(
        len(dataset[index]["labels"]) == dataset.length(problem) for index, problem in enumerate(dataset.problems)
    )
