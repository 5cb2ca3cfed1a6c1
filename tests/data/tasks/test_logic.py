import math
import random
import re
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.checks import check_splits
from trimtab.data import CharacterTokenizer
from trimtab.data.tasks import Problem, Role, task_data
from trimtab.data.tasks.logic import Logic
from trimtab.data.tasks.logic.knights import LETTERS

LEVELS = (1, 2, 3, 4, 5)


def drawn(kind: str, level: int, count: int, style: str = "compact", seed: int = 0) -> list[Problem]:
    task, rng = Logic(kind=kind, style=style), random.Random(100 * seed + level)
    return [task.problem(level, rng) for _ in range(count)]


# Entailment


def truth(formula: str, values: dict[str, int]) -> int:
    """The truth of a formula, computed by Python's operators: numbers for letters, `<=` for `->`."""
    text = re.sub(r"~(\w)", r"(1-\1)", formula).replace("<->", "==").replace("->", "<=")
    return int(eval(text, {}, values))


def follows(premises: list[str], conclusion: str) -> bool:
    letters = sorted(set(re.findall(r"\w", "".join(premises))))
    assert set(re.findall(r"\w", conclusion)) <= set(letters)
    rows = [dict(zip(letters, row, strict=True)) for row in product((0, 1), repeat=len(letters))]
    models = [row for row in rows if all(truth(premise, row) for premise in premises)]
    assert models, "the premises contradict one another"
    return all(truth(conclusion, row) for row in models)


def arguments(prompt: str) -> tuple[list[str], str]:
    match = re.fullmatch(r"(.*) \|- (.*)\? ", prompt)
    assert match is not None
    return match[1].split("; "), match[2]


@pytest.mark.parametrize("level", LEVELS)
def test_entailment_labels_are_right(level: int) -> None:
    for problem in drawn("entailment", level, 400):
        premises, conclusion = arguments(problem.prompt)
        assert problem.answer == problem.truth == ("yes" if follows(premises, conclusion) else "no")
        assert dict(zip(problem.options, problem.option_probabilities, strict=True))[problem.truth] == 1
        assert sum(problem.option_probabilities) == 1
        if problem.truth == "yes":
            assert not any(
                follows([*premises[:1], premise], premise) and alone(premise, conclusion) for premise in premises
            )


def alone(premise: str, conclusion: str) -> bool:
    letters = sorted(set(re.findall(r"\w", premise + conclusion)))
    rows = [dict(zip(letters, row, strict=True)) for row in product((0, 1), repeat=len(letters))]
    return all(truth(conclusion, row) for row in rows if truth(premise, row))


@pytest.mark.parametrize("level", LEVELS)
def test_the_working_of_an_argument_tries_assignments_until_one_decides(level: int) -> None:
    task = Logic(kind="entailment")
    for problem in drawn("entailment", level, 60):
        premises, conclusion = arguments(problem.prompt)
        steps, method = task.working(problem)
        letters, *tried = steps.split(" ")
        names = letters.removesuffix(":").split(",")
        assert names == sorted(set(re.findall(r"[a-z]", "".join([*premises, conclusion])))) and method == 1
        for row in tried:
            values = {name: int(value == "T") for name, value in zip(names, row[:-1], strict=True)}
            false = [number for number, premise in enumerate(premises, 1) if not truth(premise, values)]
            assert row[-1] == (str(false[0]) if false else "ny"[truth(conclusion, values)])
        assert (tried[-1][-1] == "n") == (problem.truth == "no")
        assert len(tried) == 2 ** len(names) or problem.truth == "no"


def formula_of(sentence: str) -> str:
    """A sentence in words as a formula over names, parsed independently of the task."""
    parts = re.fullmatch(r"(?:[Ii]f (.*), )?(.*)", sentence.rstrip("."))
    assert parts is not None
    before, after = parts[1], clause(parts[2])
    return after if before is None else f"({clause(before)})->({after})"


def clause(text: str) -> str:
    for word, sign in ((" exactly if ", "<->"), (" and ", "&"), (" or ", "|")):
        if word in text:
            left, _, right = text.partition(word)
            return f"{clause(left)}{sign}{clause(right)}"
    match = re.fullmatch(r"(\w+) (comes|does not come)", text)
    assert match is not None
    return ("~" if match[2] != "comes" else "") + match[1]


@pytest.mark.parametrize("level", LEVELS)
def test_labels_of_arguments_in_words_are_right(level: int) -> None:
    for problem in drawn("entailment", level, 200, "words"):
        premises_text, _, conclusion_text = problem.prompt.partition(" Does it follow that ")
        letters: dict[str, str] = {}

        def short(formula: str, letters: dict[str, str] = letters) -> str:
            return re.sub(r"\w+", lambda name: letters.setdefault(name[0], "abcdef"[len(letters)]), formula)

        premises = [short(formula_of(sentence)) for sentence in premises_text.split(". ")]
        conclusion = short(formula_of(conclusion_text.removesuffix("?\n")))
        assert problem.truth == ("yes" if follows(premises, conclusion) else "no")


def test_yes_and_no_are_balanced_within_levels_and_lengths() -> None:
    for level in LEVELS:
        bands: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for problem in drawn("entailment", level, 1500):
            bands[len(problem.prompt) // 6][problem.truth] += 1
        judged = [band for band in bands.values() if band.total() >= 50]
        assert sum(band.total() for band in judged) > 1200
        for band in judged:
            assert abs(band["yes"] - band.total() / 2) < 4.2 * math.sqrt(band.total()) / 2


def test_yes_and_no_are_balanced_in_the_validation_split() -> None:
    counts = Counter(problem.truth for problem in Logic(kind="entailment", levels=(1,)).split("validation", 500, 0))
    assert abs(counts["yes"] - 250) < 4.2 * math.sqrt(500) / 2


def features(problem: Problem) -> Counter[str]:
    """Counts of the tokens in premises and conclusion, the form and the length."""
    premises, conclusion = arguments(problem.prompt)
    pattern = r"<->|->|[a-z~&|();]"
    counts = Counter(f"p{token}" for token in re.findall(pattern, "; ".join(premises)))
    counts.update(f"c{token}" for token in re.findall(pattern, conclusion))
    shape = re.sub(r"\w", "_", problem.prompt)
    counts[f"shape {shape}"] = counts[f"length {len(problem.prompt)}"] = counts["one"] = 1
    return counts


@pytest.mark.parametrize("level", [1, 3, 5])
def test_a_bag_of_tokens_does_not_predict_the_answer(level: int) -> None:
    """Naive Bayes (with add-one smoothing) on tokens, form and length is at chance on new problems."""
    train, validation = drawn("entailment", level, 2500), drawn("entailment", level, 1500, seed=1)
    counts = {label: Counter[str]() for label in ("yes", "no")}
    for problem in train:
        counts[problem.truth].update(features(problem))
    names = set(counts["yes"]) | set(counts["no"])
    totals = {label: count.total() + len(names) for label, count in counts.items()}
    weight = {
        name: math.log((counts["yes"][name] + 1) / totals["yes"]) - math.log((counts["no"][name] + 1) / totals["no"])
        for name in names
    }
    right = 0
    for problem in validation:
        evidence = sum(weight.get(name, 0.0) * count for name, count in features(problem).items())
        right += (evidence > 0) == (problem.truth == "yes")
    assert abs(right / len(validation) - 0.5) < 4.2 * 0.5 / math.sqrt(len(validation))


def test_both_answers_have_the_same_tokens() -> None:
    """Arguments with the same key have both answers, and the same tokens except for the names of the letters."""
    by_key: defaultdict[str, defaultdict[str, set[tuple[int, ...]]]] = defaultdict(lambda: defaultdict(set))
    for problem in drawn("entailment", 1, 6000):
        usage = tuple(sorted(Counter(re.findall(r"[a-z]", problem.prompt)).values()))
        by_key[problem.question][problem.truth].add(usage)
    often = [usages for usages in by_key.values() if len(usages) == 2]
    assert len(often) > 500
    assert all(usages["yes"] == usages["no"] for usages in often)


# Knights and knaves


def says(statement: str, kinds: dict[str, bool]) -> bool:
    """Whether a compact statement is true, evaluated independently of the task."""
    for sign in ("->", "&", "|"):
        if sign in statement:
            left, right = (says(part, kinds) for part in statement.split(sign))
            return {"->": right or not left, "&": left and right, "|": left or right}[sign]
    if statement[0] == "#":
        return sum(kinds.values()) == int(statement[1:])
    if statement[1] in "=/":
        return (kinds[statement[0]] == kinds[statement[2]]) == (statement[1] == "=")
    return kinds[statement[1]] == (statement[0] == "K")


def solutions(people: list[str], statements: list[str]) -> list[str]:
    assignments = []
    for row in product((True, False), repeat=len(people)):
        kinds = dict(zip(people, row, strict=True))
        if all(says(statement, kinds) == kinds[who] for who, statement in zip(people, statements, strict=True)):
            assignments.append("".join("K" if knight else "N" for knight in row))
    return assignments


@pytest.mark.parametrize("level", LEVELS)
def test_every_puzzle_has_exactly_one_solution(level: int) -> None:
    for problem in drawn("knights", level, 400):
        lines = [part.split(":") for part in problem.prompt.removesuffix(" who? ").split("; ")]
        people = [who for who, _ in lines]
        assert tuple(people) == LETTERS[: len(people)]
        assert solutions(people, [statement for _, statement in lines]) == [problem.truth]


@pytest.mark.parametrize("level", LEVELS)
def test_the_working_of_a_puzzle_names_the_first_person_whose_statement_does_not_fit(level: int) -> None:
    task = Logic(kind="knights")
    for problem in drawn("knights", level, 60):
        lines = dict(part.split(":") for part in problem.prompt.removesuffix(" who? ").split("; "))
        steps, method = task.working(problem)
        assert method == 0
        for row in steps.split(" "):
            kinds = {who: kind == "K" for who, kind in zip(lines, row, strict=False)}
            wrong = [who for who, statement in lines.items() if says(statement, kinds) != kinds[who]]
            assert row[len(lines) :] == (wrong[0] if wrong else "")
        assert row == problem.truth


def compact(sentence: str, letters: dict[str, str]) -> str:
    """A statement in words as a compact one, converted independently of the task."""
    text = sentence
    for name, letter in letters.items():
        text = re.sub(rf"\b{name}\b", letter, text)
    text = re.sub(r"(\w) and (\w) are of the same kind", r"\1=\2", text)
    text = re.sub(r"(\w) and (\w) are of different kinds", r"\1/\2", text)
    text = re.sub(r"exactly (\d) knights? (?:is|are) among us", r"#\1", text)
    text = re.sub(r"(\w) is a kn(?:(ight)|ave)", lambda match: ("K" if match[2] else "N") + match[1], text)
    text = re.sub(r"if (\w+), (\w+)", r"\1->\2", text)
    return text.replace(" and ", "&").replace(" or ", "|")


@pytest.mark.parametrize("level", LEVELS)
def test_solutions_of_puzzles_in_words_are_right(level: int) -> None:
    for problem in drawn("knights", level, 200, "words"):
        lines = re.findall(r"(\w+) says: ([^.]+)\.", problem.prompt)
        people = [who for who, _ in lines]
        letters = dict(zip(people, LETTERS, strict=False))
        (solution,) = solutions(list(letters.values()), [compact(statement, letters) for _, statement in lines])
        kinds = {"K": "knight", "N": "knave"}
        assert problem.truth == ", ".join(f"{who} {kinds[kind]}" for who, kind in zip(people, solution, strict=True))


@pytest.mark.parametrize("level", LEVELS)
def test_solutions_are_equally_likely(level: int) -> None:
    by_people: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for problem in drawn("knights", level, 3000):
        by_people[len(problem.truth)][problem.truth] += 1
    for people, counts in by_people.items():
        expected = counts.total() / 2**people
        spread = sum((counts["".join(kinds)] - expected) ** 2 / expected for kinds in product("KN", repeat=people))
        assert spread < (2**people - 1) + 5 * math.sqrt(2 * (2**people - 1)) + 10  # far out in the chi-squared tail


@pytest.mark.parametrize("style", ["compact", "words"])
def test_numbers_of_puzzles_are_quantities(style: str) -> None:
    count = 0
    for problem in drawn("knights", 1, 500, style):
        spans = [(start, end) for start, end, role in problem.prompt_numbers if role is Role.QUANTITY]
        assert spans == [match.span() for match in re.finditer(r"\d+", problem.prompt)]
        count += len(spans)
    assert count > 100


# Both


@pytest.mark.parametrize("kind", ["entailment", "knights", "both"])
def test_the_splits_have_no_question_in_common(kind: str) -> None:
    check_splits(Logic(kind=kind))


def test_both_kinds_are_drawn() -> None:
    kinds = Counter(problem.provenance["kind"] for problem in Logic().split("train", 2000, 0))
    assert set(kinds) == {"entailment", "knights"}
    assert abs(kinds["knights"] - 1000) < 150


@pytest.mark.parametrize(("style", "context"), [("compact", 110), ("words", 620)])
def test_labels_and_lengths_of_items(style: str, context: int) -> None:
    data = task_data(tokenizer=CharacterTokenizer(), task=Logic(style=style), size=400, validation=50, context=context)
    item = data.train[0]
    labels = item["labels"][item["labels"] != -100]
    assert data.tokenizer.decode(labels) == item["metadata"]["truth"] + "\n"
    lengths = np.array([len(data.train[index]["input_ids"]) for index in range(400)])
    assert lengths.max() <= context + 1


@pytest.mark.parametrize(
    ("truth", "response", "exact", "parts"),
    [
        ("yes", "Yes, it does", 1, 1),
        ("yes", " yes", 1, 1),
        ("yes", "yesterday", 0, 0),
        ("yes", "no", 0, 0),
        ("no", "", 0, 0),
        ("KN", "KN", 1, 1),
        ("KN", " kn who? ", 1, 1),
        ("KN", "KK", 0, 0.5),
        ("KN", "KNK", 0, 0),
        ("KN", "", 0, 0),
        ("Ada knight, Ben knave", "Ada knight, Ben knave", 1, 1),
        ("Ada knight, Ben knave", "ben is a Knave; ada is a knight", 1, 1),
        ("Ada knight, Ben knave", "Ada knight, Ben knight, Ben knave", 0, 0.5),
        ("Ada knight, Ben knave", "Ben knave", 0, 0.5),
        ("Ada knight, Ben knave", "?", 0, 0),
    ],
)
def test_a_response_is_scored_by_its_first_word_or_kinds(truth: str, response: str, exact: float, parts: float) -> None:
    problem = Problem(prompt="", answer=truth, truth=truth)
    assert Logic().score(problem, response) == {"exact_match": exact, "parts": parts}


@pytest.mark.parametrize("style", ["compact", "words"])
def test_the_truth_has_all_metrics_at_1(style: str) -> None:
    task = Logic(style=style)
    for problem in task.split("train", 300, 0):
        assert task.score(problem, problem.truth) == {"exact_match": 1.0, "parts": 1.0}


@given(response=st.text(), truth=st.sampled_from(["yes", "no", "KNK", "Ada knight, Ben knave"]))
def test_any_response_has_a_score(response: str, truth: str) -> None:
    scores = Logic().score(Problem(prompt="", answer=truth, truth=truth), response)
    assert scores["exact_match"] in (0.0, 1.0)
    assert 0 <= scores["parts"] <= 1


def test_the_examples_in_the_docs_are_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    section = page.partition("\n## logic\n")[2].partition("\n## ")[0].replace("\\|", "|")
    rows = re.findall(r"\| \d \| `([^`]+)\?` \| `(yes|no)` \| `([^`]+) who\?` \| `([KN]+)` \|", section)
    assert len(rows) == len(LEVELS)
    for argument, label, puzzle, kinds in rows:
        premises, conclusion = arguments(argument + "? ")
        assert label == ("yes" if follows(premises, conclusion) else "no")
        lines = [part.split(":") for part in puzzle.split("; ")]
        assert solutions([who for who, _ in lines], [statement for _, statement in lines]) == [kinds]
