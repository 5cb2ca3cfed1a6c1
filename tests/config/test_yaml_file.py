import math
import os
from pathlib import Path

import pytest

from trimtab.config import ConfigError
from trimtab.config.yaml_file import dotted, dump_yaml, load_yaml, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5e1", 5.0),
        ("0.1", 0.1),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e5x", "1e5x"),
        ("null", None),
        ("[a, 2]", ["a", 2]),
        ("{name: sgd, lr: 1e-3}", {"name": "sgd", "lr": 1e-3}),
        ("tests.tiny:TinyModel", "tests.tiny:TinyModel"),
    ],
)
def test_values(text: str, value: object) -> None:
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "[1,",
        "a: b: c",
        "{lr: 1, lr: 2}",
        "&a [*a]",
        "*a",
        "!!python/object:os.X {}",
        "!!int ''",
        "!!bool x",
        "!!timestamp x",
        "!!str 1",
        "!!float []",
        "!mine x",
        "! 1",
        '"\\UFFFFFFFF"',
        "\x07",
        "{[a]: 1}",
        "{1: 2}",
        "{null: 2}",
        "1e400",
        "1e-400",
        "9" * 5000,
        "0." + "1" * 5000,
        "[" * 3000,
        "{a: " * 3000,
        "- " * 3000,
        "[a, ]\n---\n[b]",
    ],
)  # fmt: skip
def test_a_value_that_is_no_yaml(text: str) -> None:
    with pytest.raises(ConfigError, match="--set") as caught:
        parse_value(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", " ", "# nothing", "---", "[a, '', ~, {b: }]", "{path: , name: x}", "- \n- 1"])
def test_an_empty_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="there is no value.*null"):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("017", 17), ("010", 10), ("0o17", 15), ("0x1F", 31), ("+12", 12), ("-0", 0), ("08", 8), ("0b11", "0b11"),
        ("1_000", "1_000"), ("0_7", "0_7"), ("1:30", "1:30"), ("190:20:30.15", "190:20:30.15"), ("2020-01-02", "2020-01-02"),
        ("2020-13-45", "2020-13-45"), ("2001-12-14t21:59:43Z", "2001-12-14t21:59:43Z"), ("yes", "yes"), ("No", "No"),
        ("on", "on"), ("OFF", "OFF"), ("y", "y"), ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"),
        ("~", None), ("NULL", None), ("nUll", "nUll"), (".inf", math.inf), ("-.INF", -math.inf), (".Inf", math.inf),
        ("inf", "inf"), ("1.", 1.0), (".5", 0.5), ("+.5e-3", 0.0005), ("1.e2", 100.0), ("-1E+2", -100.0), (".", "."),
        ("1.2.3", "1.2.3"), ("0o8", "0o8"), ("0xG", "0xG"), ("-0o7", "-0o7"), ("'017'", "017"), ('"null"', "null"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_the_yaml_1_2_core_schema(text: str, value: object) -> None:
    read = parse_value(text)
    assert (type(read), read) == (type(value), value)
    assert math.isnan(parse_value(".nan")) and math.isnan(parse_value(".NaN"))


@pytest.mark.parametrize(
    "text",
    ["017", "0o17", "08", "yes", "1:30", "1e5", "1_000", "2020-01-01", ".5", "-", "", "~", "<<", "=", "a: b", "+.e"],
)
def test_text_that_is_written_is_read_as_the_same_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(dump_yaml({"a": text, "b": [text, {text or "k": 1}]}))
    assert load_yaml(tmp_path / "a.yaml")[0] == {"a": text, "b": [text, {text or "k": 1}]}


def test_aliases_that_grow_without_bound_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "laughs.yaml"
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)]
    path.write_text("a0: &a0 [x, x]\n" + "".join(levels))
    with pytest.raises(ConfigError, match=r"line 6: .*over 100,000 values"):
        load_yaml(path)
    path.write_text("a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{x: *a{i - 1}}}\n" for i in range(1, 80)))
    with pytest.raises(ConfigError, match="over 50 levels"):
        load_yaml(path)


def test_a_large_or_endless_file_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"a: [" + b"1," * (1 << 20) + b"]")
    with pytest.raises(ConfigError, match="more than 1,048,576 bytes"):
        load_yaml(large)
    os.mkfifo(tmp_path / "fifo.yaml")
    for path, kind in ((tmp_path / "fifo.yaml", "a FIFO"), (Path("/dev/zero"), "a device")):
        with pytest.raises(ConfigError, match=f"it is {kind}, not a regular file"):
            load_yaml(path)


def test_what_an_alias_repeats_is_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: &x {b: [1]}\nc: *x\n")
    data, _ = load_yaml(path)
    data["a"]["b"].append(2)
    assert data["c"] == {"b": [1]}


def test_every_key_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# comment\nseed: 1\nepisode:\n  steps: 2\nhooks:\n  - name: a\n    every: 3\n  - {name: b}\n")
    data, lines = load_yaml(path)
    assert data == {"seed": 1, "episode": {"steps": 2}, "hooks": [{"name": "a", "every": 3}, {"name": "b"}]}
    expected = {"seed": 2, "episode": 3, "episode.steps": 4, "hooks[0].every": 7, "hooks[1].name": 8}
    result = {dotted(known): line for known, line in lines.items()}
    assert {key: result[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"seed: 1\nepisode:\n  steps: 1\n  clip: 2\n  steps: 3\n",
            "line 5: the key 'episode.steps' is written twice (first on line 3)",
        ),
        (b"hooks:\n- {name: a, name: b}\n", "line 2: the key 'hooks[0].name' is written twice (first on line 2)"),
        (b"seed: [1\n", "is not valid YAML"),
        (b"seed: 1\n\tsteps: 2\n", "(line 2, column 1)"),
        (b"- seed\n", "holds a list; a config is a mapping of keys to values"),
        (b"seed\n", "holds text"),
        (b"seed: 1\n---\nseed: 2\n", "line 2: a second document begins"),
        (b"seed: \xff\xfe\n", "is not UTF-8 text (byte 6)"),
        (b"a: &a\n  b: *a\n", "contains itself"),
        (b"%YAML 1.1\n---\nseed: 1\n", "line 1: it asks for YAML 1.1"),
        (b"a: 1\nb: *c\n", "line 2: b: there is no &c above this *c"),
        (b"a: 1\nb:\nc: 2\n", "line 2: b: there is no value here"),
        (b"a: {<<: 3}\n", "<< takes a mapping"),
        (b"? [a]\n: 1\n", "line 1: a key is not text"),
        (b"a: {1: 2}\n", "line 1: a: the key 1 is a whole number; keys are text. Quote it."),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "it is a folder")):
        with pytest.raises(ConfigError, match=reason):
            load_yaml(path)


def test_an_empty_file_is_an_empty_config_and_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# nothing\n")
    assert load_yaml(path) == ({}, {})
    path.write_bytes(b"\xef\xbb\xbfseed: 1\n")
    assert load_yaml(path)[0] == {"seed": 1}


def test_anchors_may_be_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n")
    assert load_yaml(path)[0] == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}
