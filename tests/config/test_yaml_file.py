from pathlib import Path

import pytest

from trimtab.config import ConfigError
from trimtab.config.yaml_file import dotted, load_yaml, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5e1", 5.0),
        ("1_000", 1000),
        ("0.1", 0.1),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e5x", "1e5x"),
        ("", None),
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
    "text", ["[1,", "a: b: c", "{lr: 1, lr: 2}", "&a [*a]", "2020-13-45", "!!python/object:os.X {}"]
)
def test_a_value_that_is_no_yaml(text: str) -> None:
    with pytest.raises(ConfigError, match="--set") as caught:
        parse_value(text)
    assert "\n" not in str(caught.value)


def test_every_key_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# comment\nseed: 1\nepisode:\n  steps: 2\nhooks:\n  - name: a\n    every: 3\n  - {name: b}\n")
    data, lines = load_yaml(path)
    assert data == {"seed": 1, "episode": {"steps": 2}, "hooks": [{"name": "a", "every": 3}, {"name": "b"}]}
    expected = {"seed": 2, "episode": 3, "episode.steps": 4, "hooks[0].every": 7, "hooks[1].name": 8}
    found = {dotted(known): line for known, line in lines.items()}
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"seed: 1\nepisode:\n  steps: 1\n  clip: 2\n  steps: 3\n",
            "line 5: the key 'episode.steps' stands twice (first on line 3)",
        ),
        (b"hooks:\n- {name: a, name: b}\n", "line 2: the key 'hooks[0].name' stands twice (first on line 2)"),
        (b"seed: [1\n", "is not valid YAML"),
        (b"seed: 1\n\tsteps: 2\n", "(line 2, column 1)"),
        (b"- seed\n", "holds a list; a config is a mapping of keys to values"),
        (b"seed\n", "holds a str"),
        (b"seed: 1\n---\nseed: 2\n", "is not valid YAML"),
        (b"seed: \xff\xfe\n", "is not UTF-8 text (byte 6)"),
        (b"a: &a\n  b: *a\n", "contains itself"),
        (b"seed: 2020-13-45\n", "month must be in 1..12"),
        (b"? [a]\n: 1\n", "is not valid YAML"),
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
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
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
