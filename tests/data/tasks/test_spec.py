import builtins
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.data.tasks.checks import check_splits
from trimtab.config import ConfigError
from trimtab.data import CharacterTokenizer
from trimtab.data.tasks import Problem, Role, task_data
from trimtab.data.tasks.spec import Spec, schema
from trimtab.data.tasks.spec.schema import SCHEMA
from trimtab.data.tasks.spec.scoring import DEPTH, METRICS, compare

LEVELS = (1, 2, 3, 4)
UNIT = {"MiB": "Mi", "GiB": "Gi", "mebibytes": "Mi", "gibibytes": "Gi"}
SIZE = r"(\d+) (MiB|GiB|mebibytes|gibibytes)"


def drawn(level: int, count: int) -> list[Problem]:
    task, rng = Spec(), random.Random(level)
    return [task.problem(level, rng) for _ in range(count)]


def parsed_spec(prompt: str) -> dict[str, Any]:
    """The specification that a prompt requires, parsed independently of the task, without fields at their defaults."""
    first, *sentences = re.findall(r"(?:[^.]|\.(?=\d))+\.", prompt)
    name = re.search(r"called ([a-z-]+)\.|the name ([a-z-]+)\.|start ([a-z-]+) as", first)
    assert name is not None
    spec: dict[str, Any] = {"name": name[1] or name[2] or name[3]}
    volumes: dict[int, dict[str, str]] = {}
    for sentence in sentences:
        text = sentence.strip()
        if match := re.search(r"port (\d+)", text):
            spec["port"] = int(match[1])
        elif match := re.search(r"image ([a-z]+) in version ([\d.]+)\.", text):
            spec["image"] = f"{match[1]}:{match[2]}"
        elif match := re.search(r"version ([\d.]+) of ([a-z]+)", text):
            spec["image"] = f"{match[2]}:{match[1]}"
        elif match := re.search(r"(\d+) (?:replicas?|copies|instances)", text):
            spec["replicas"] = int(match[1])
        elif match := re.search(SIZE + " of memory", text):
            spec["memory"] = match[1] + UNIT[match[2]]
        elif match := re.search(r"(\d+) millicores", text):
            spec["cpu"] = match[1] + "m"
        elif text in ("Turn tracing on.", "Its requests must be traced."):
            spec["tracing"] = True
        elif text in ("Anybody on the internet may reach it.", "Make it public."):
            spec["public"] = True
        elif text in ("Restart it only when it fails.", "After a failure it starts again."):
            spec["restart"] = "on-failure"
        elif text in ("Never restart it.", "Once it stops, leave it stopped."):
            spec["restart"] = "never"
        elif match := re.search(r"(?:Set|environment) ([A-Z_]+) (?:to|is) (\w+)", text):
            spec.setdefault("env", {})[match[1]] = int(match[2]) if match[2].isdigit() else match[2]
        elif match := re.search(r"(/[a-z]+)\b\D* every (\d+) seconds", text):
            spec.setdefault("health", {}).update({"path": match[1], "interval": int(match[2])})
        elif match := re.search(r"(\d+) failed checks", text):
            spec.setdefault("health", {})["retries"] = int(match[1])
        elif match := re.search(rf"Volume (\d) is (\w+), {SIZE} mounted at (/[a-z/]+)\.", text):
            volumes[int(match[1])] = {"name": match[2], "size": match[3] + UNIT[match[4]], "mount": match[5]}
        elif match := re.search(rf"Mount (\w+) with {SIZE} at (/[a-z/]+) as volume (\d)", text):
            volumes[int(match[5])] = {"name": match[1], "size": match[2] + UNIT[match[3]], "mount": match[4]}
        else:
            assert text in (
                *("One copy is enough.", "Tracing stays off.", "Do not trace its requests.", "It is not public."),
                *(
                    "Only our own network may reach it.",
                    "Restart it whenever it stops.",
                    "It must always be restarted.",
                ),
            )
    if volumes:
        spec["volumes"] = [volumes[index] for index in sorted(volumes)]
    if spec.get("replicas") == 1:
        del spec["replicas"]
    if spec.get("health", {}).get("retries") == 3:
        del spec["health"]["retries"]
    return spec


@pytest.mark.parametrize("level", LEVELS)
def test_specifications_say_what_the_prompts_say(level: int) -> None:
    for problem in drawn(level, 500):
        assert json.loads(problem.answer) == parsed_spec(problem.prompt), problem.prompt
        assert problem.answer == problem.truth


def without_defaults(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether no field of an object is at its default, and all are in the order of the schema."""
    properties = schema["properties"]
    assert [name for name in properties if name in value] == list(value)
    nested = [
        without_defaults(part, properties[name]) for name, part in value.items() if "properties" in properties[name]
    ]
    return all(nested) and all(properties[name].get("default", ...) != part for name, part in value.items())


@pytest.mark.parametrize("level", LEVELS)
def test_specifications_are_valid_and_canonical(level: int) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for problem in drawn(level, 500):
        value = json.loads(problem.answer)
        Draft202012Validator(SCHEMA).validate(value)
        assert problem.answer == json.dumps(value, separators=(",", ":"))
        assert without_defaults(value, SCHEMA)
        assert list(value.get("env", {})) == sorted(value.get("env", {}))
        assert ("volumes" in value) == (level == 4)
        assert ("env" in value) == (level >= 3)
        assert Spec().score(problem, problem.answer) == dict.fromkeys(METRICS, 1.0)


def test_level_four_asks_for_defaults() -> None:
    kinds: Counter[str] = Counter()
    for problem in drawn(4, 500):
        stated = problem.question.removeprefix(problem.answer).split()
        assert stated
        kinds.update(stated)
    assert set(kinds) == {"replicas", "tracing", "public", "restart", "retries"}
    assert min(kinds.values()) > 25


@pytest.mark.parametrize("level", LEVELS)
def test_every_number_has_its_role(level: int) -> None:
    for problem in drawn(level, 500):
        text = problem.prompt
        spans = [number[:2] for number in problem.prompt_numbers]
        assert spans == [match.span() for match in re.finditer(r"\d+(?:\.\d+)?", text)]
        for start, end, role in problem.prompt_numbers:
            before = text[:start]
            if before.endswith(("port ", "version ", "Version ")):
                assert role is Role.CATEGORY
            elif before.endswith(("Volume ", "volume ")):
                assert role is Role.INDEX
            else:
                assert role is Role.QUANTITY, text[start - 10 : end]
        answer = problem.answer
        numbers = [number for number in problem.answer_numbers if number.role is not Role.STRUCTURE]
        assert [number[:2] for number in numbers] == [match.span() for match in re.finditer(r"\d+(?:\.\d+)?", answer)]
        for start, _, role in numbers:
            label = re.search(r'("port":|"image":"[a-z]+:)$', answer[:start])
            assert role is (Role.CATEGORY if label else Role.QUANTITY)
        signs = "".join(answer[start:end] for start, end, role in problem.answer_numbers if role is Role.STRUCTURE)
        assert signs == re.sub(r'[^][{}",:]', "", re.sub(r"(?<=[a-z]):(?=\d)", "", answer))


def test_splits_share_no_question() -> None:
    check_splits(Spec())


def test_labels_and_roles_of_items() -> None:
    data = task_data(tokenizer=CharacterTokenizer(), task=Spec(), size=40, validation=20, context=1400)
    item = data.validation[3]
    labels = item["labels"][item["labels"] != -100]
    assert data.tokenizer.decode(labels) == item["metadata"]["truth"] + "\n"
    assert item["metadata"]["aligned"]["role"].bincount(minlength=5).all()


# Scoring

TRUTH = '{"name":"a","port":80,"env":{"B":1},"volumes":[{"name":"v","size":"1Gi","mount":"/v"}]}'


@pytest.mark.parametrize(
    ("response", "metrics"),
    [
        (TRUTH, (1, 1, 1, 1, 1, 1, 1)),
        (f" {TRUTH}\n", (1, 1, 1, 1, 1, 1, 1)),
        (json.dumps(json.loads(TRUTH), indent=2, sort_keys=True), (0, 1, 1, 1, 1, 1, 1)),
        (TRUTH.replace("80", "80.0"), (0, 1, 1, 1, 1, 1, 1)),
        (TRUTH.replace("80", "81"), (0, 0, 1, 1, 5 / 6, 5 / 6, 5 / 6)),
        (TRUTH.replace("80", '"80"'), (0, 0, 1, 0, 5 / 6, 5 / 6, 5 / 6)),
        (TRUTH.replace('"B":1', '"B":true'), (0, 0, 1, 0, 5 / 6, 5 / 6, 5 / 6)),
        (TRUTH.replace('"port":80', '"port":80,"replicas":1'), (0, 0, 1, 1, 6 / 7, 1, 12 / 13)),
        (TRUTH.replace('"port":80,', ""), (0, 0, 1, 0, 1, 5 / 6, 10 / 11)),
        (TRUTH.replace('{"B":1}', "{}"), (0, 0, 1, 0, 5 / 6, 5 / 6, 5 / 6)),
        (TRUTH.replace('"a"', '"a\\n"'), (0, 0, 1, 0, 5 / 6, 5 / 6, 5 / 6)),
        ('{"name":"a","port":80}', (0, 0, 1, 1, 1, 2 / 6, 2 / 4)),
        ("{}", (0, 0, 1, 0, 0, 0, 0)),
        ("null", (0, 0, 1, 0, 0, 0, 0)),
        ('{"name":"a","port":80,"port":80}', (0,) * 7),
        (TRUTH[:-1], (0,) * 7),
        (TRUTH + " and more", (0,) * 7),
        ('{"port":NaN}', (0,) * 7),
        ('{"port":1e999}', (0,) * 7),
        ('{"port":1e-999}', (0,) * 7),
        ("", (0,) * 7),
        (TRUTH + "\u00a0", (0,) * 7),
    ],
)
def test_a_response_has_the_expected_metrics(response: str, metrics: tuple[float, ...]) -> None:
    scores = Spec().score(Problem(prompt="", answer=TRUTH, truth=TRUTH), response)
    assert scores == pytest.approx(dict(zip(METRICS, metrics, strict=True)))


def test_nesting_counts_up_to_the_limit() -> None:
    for depth, valid in ((DEPTH, 1.0), (DEPTH + 1, 0.0)):
        assert compare("[" * depth + "1" + "]" * depth, TRUTH)["valid_json"] == valid


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 300_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 900 + "1" + "}" * 900,
        "9" * 1_000_000,
        '{"port":' + "9" * 4000 + "}",
        '{"port":1e999}',
        '"' + "\\ud800" * 100_000 + '"',
        "[" + "1," * 300_000 + "1]",
        '{"name":"' + "a" * 1_000_000 + '"}',
        "\ud800",
        "\x00",
    ],
)
def test_huge_and_malformed_text_is_scored(text: str) -> None:
    scores = compare(text, TRUTH)
    assert set(scores) == set(METRICS)
    assert scores["exact_match"] == scores["json_equal"] == scores["schema_valid"] == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
)


@given(one=json_values, other=json_values)
def test_exactly_equal_values_count_as_equal(one: Any, other: Any) -> None:
    assert compare(json.dumps(one, indent=1), json.dumps(one))["json_equal"] == 1
    scores = compare(json.dumps(other), json.dumps(one))
    assert scores["valid_json"] == 1
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert scores["json_equal"] >= same
    if scores["json_equal"]:
        assert one == other
        assert scores["field_f1"] == 1


@given(response=st.text() | st.text(alphabet='{}[]":,0129.eE-+truefalsn \\u'))
def test_any_response_has_metrics_from_0_to_1(response: str) -> None:
    assert all(0 <= value <= 1 for value in compare(response, TRUTH).values())


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "jsonschema":
            raise ImportError(name)
        return real(name, *rest, **more)

    schema.validator.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"trimtab\[tasks\]"):
        Spec()


def test_the_example_in_the_docs_is_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    (prompt, answer) = re.findall(r"```text\n(Set up .*)\n(.*)\n```", page)[0]
    assert json.loads(answer) == parsed_spec(prompt)
    assert compare(answer, answer) == dict.fromkeys(METRICS, 1.0)
