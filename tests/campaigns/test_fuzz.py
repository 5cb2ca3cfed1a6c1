"""Mutated configs, options and tables: every error is a TrimtabError with one short paragraph."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from trimtab.config.load import load_root
from trimtab.errors import TrimtabError
from trimtab.evidence import judge_table, parse_claim, read_table
from trimtab.experiments.loading import load_experiment
from trimtab.memory.config import MemoryConfig
from trimtab.training.config import load_config

pytestmark = pytest.mark.slow

CONFIGS, TABLES = 2150, 600
SHIPPED = Path(__file__).parents[2] / "configs"
ODD = [
    "null", "~", "", "-1", "0", "1", "1e400", "-.inf", ".nan", "1" * 5000, "0x1F", "0o17", "017", "1:30", "2026-01-01", "yes", "!!int ''",
    "!!bool x", "!!timestamp x", "!!python/name:os.system", "!!binary '='", "!!set {a}", "!!omap [a: 1]", "{}", "[]", "{name: }", "{name: 3}",
    "{name: adamw, lr: {}}", "{name: nothing}", "{name: '..:x'}", "{name: 'os:system'}", "&a [*a]", "*nowhere", "[" * 1500 + "]" * 1500, "'\\ud800'", '"\\ud800"',
    '"\\0"', "|\n  text", "? [1]\n: 2", "'" + "x" * 5000 + "'", "0.9999999999999999", "1e-320", str(2**63), str(2**70), "true", "[1, [2, [3]]]", "{1: 2}",
    "{? {a: b} : c}", "<<", "{<<: 3}", "{<<: {lr: 1}}", "~nobody/x", "/dev/zero", "../../x", "\t", "%TAG", "--- a", "@x", "`x`",
]  # fmt: skip
"""Values that a config may hold anywhere."""

CELLS = [
    "", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e400", "abc", "1,5", "0x10", "1_000", "١", "9" * 400, "=1+1", "\x00", "true", '"', "a\nb", "  3  ",
    "1e-300", "0", "-0.0", "1;2",
]  # fmt: skip
"""Cells that a table may hold anywhere."""


class TooSlow(Exception):
    """An input kept its reader busy for longer than twenty seconds."""


@contextmanager
def limited(seconds: int = 20) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(call: Callable[[], Any], name: str, faults: list[str]) -> bool:
    """Whether the input was refused. Adds to `faults` every error that is not a TrimtabError."""
    try:
        with limited():
            call()
    except TrimtabError as error:
        if len(str(error)) > 20_000:  # printed and recorded errors are cut at 2,000
            faults.append(f"{name}: an error of {len(str(error))} characters: {str(error)[:300]}")
        return True
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        faults.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    return False


def mutated(text: str, draw: random.Random) -> str:
    """`text` with one to three mutations of a value, a key, a line or a character."""
    for _ in range(draw.randint(1, 3)):
        lines = text.splitlines(keepends=True) or ["\n"]
        place = draw.randrange(len(lines))
        line = lines[place]
        way = draw.randrange(8)
        if way <= 2 and ":" in line:
            lines[place] = line[: line.index(":") + 1] + " " + draw.choice(ODD) + "\n"
        elif way == 3:
            lines.insert(place, line)
        elif way == 4:
            del lines[place]
        elif way == 5:
            cut = draw.randrange(len(line) + 1)
            lines[place] = line[:cut] + draw.choice([*"{}[]:,&*!|>'\"%@`#?-\t \0", "\x1b", "é", "\ud800"]) + line[cut:]
        elif way == 6:
            lines[place] = " " * draw.randrange(1, 5) + line
        elif "{" in line:
            inner = line.split(", ")
            inner[draw.randrange(len(inner))] = draw.choice(ODD)
            lines[place] = ", ".join(inner)
        text = "".join(lines)
    return text


def report(capsys: pytest.CaptureFixture[str], what: str, inputs: int, refused: int, faults: list[str]) -> None:
    with capsys.disabled():
        print(f"\nfuzz: {inputs} {what}, {refused} refused, {len(faults)} faults")
    assert not faults, "\n".join(faults)
    assert inputs - refused > 0.02 * inputs, "hardly any input was accepted, so little was tried"


def loader(name: str, texts: dict[str, str]) -> Callable[[Path], Any]:
    """The function that reads the shipped config of this name."""
    if "arms:" in texts[name]:
        return load_experiment
    return partial(load_root, MemoryConfig) if name.startswith("memory_") else load_config


def verdicts(path: Path, claim: str, repeat: str | None) -> list[str]:
    return [verdict.sentence for verdict in judge_table(read_table(path), [parse_claim(claim, 0.05)], repeat=repeat)]


def test_a_mutated_config_raises_nothing_but_a_trimtab_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, faults, refused = random.Random(11), [], 0
    texts = {path.name: path.read_text() for path in sorted(SHIPPED.glob("*.yaml"))}
    for trial in range(CONFIGS):
        name = draw.choice(list(texts))
        path = tmp_path / "config.yaml"
        path.write_text(mutated(texts[name], draw), encoding="utf-8", errors="surrogatepass")
        refused += outcome(partial(loader(name, texts), path), f"{name} {trial}: {path.read_bytes()[-200:]!r}", faults)
    report(capsys, "configs", CONFIGS, refused, faults)


def test_an_odd_option_raises_nothing_but_a_trimtab_error(capsys: pytest.CaptureFixture[str]) -> None:
    draw, faults, refused = random.Random(12), [], 0
    keys = [
        "seed", "threads", "data", "data.path", "data.context", "data.tokenizer", "data.tokenizer.path", "model", "model.preset", "model.width",
        "episode", "episode.steps", "episode.optimizer", "episode.optimizer.lr", "episode.optimizer.betas", "episode.schedule", "episode.loss",
        "episode.regime_controller", "episode.data_mix", "hooks", "hooks[0]", "hooks[3].name", "faults", "faults[0].at", "monitor", "", ".", "a.b.c", "episode..x",
        "data.validation_share", "episode.sample.prompt", "episode.early_stopping", "device", "[0]", "episode[0]",
    ]  # fmt: skip
    trials = [f"{key}={value}" for key in keys for value in ODD]
    chosen = draw.sample(trials, 1000)
    for option in chosen:
        refused += outcome(partial(load_config, None, [option]), f"--set {option[:80]!r}", faults)
    report(capsys, "options", len(chosen), refused, faults)


def table(draw: random.Random) -> str:
    """A table of two or three arms and six seeds with up to three mutations."""
    arms, scale = ["plain", "hot", "cold"][: draw.randint(2, 3)], 10.0 ** draw.choice([0, 0, -300, 200, -5])
    rows = [["arm", "seed", "val_loss"]] + [
        [arm, str(seed), repr((1 + seed / 10 + 0.1 * index + draw.random() / 50) * scale)]
        for seed in range(6)
        for index, arm in enumerate(arms)
    ]
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        row = draw.choice(rows)
        way = draw.randrange(6)
        if way <= 2:
            row[draw.randrange(len(row))] = draw.choice(CELLS)
        elif way == 3 and len(rows) > 2:
            rows.remove(row)
        elif way == 4:
            row.append(draw.choice(CELLS))
        else:
            rows.insert(draw.randrange(len(rows)), list(row))
        rows = [one for one in rows if one] or [["arm"]]
    separator, end = draw.choice([*"," * 8, ";", "\t"]), draw.choice(["\n", "\r\n"])
    return "".join(separator.join(row) + end for row in rows)


def test_a_mutated_table_raises_nothing_but_a_trimtab_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw, faults, refused = random.Random(13), [], 0
    claims = [
        "val_loss lower 0.02",
        "val_loss higher 1e-300",
        "val_loss lower 1e300 trimmed",
        "val_loss lower 0.1 log",
        "arm lower 1",
        "x",
        "",
    ]
    for trial in range(TABLES):
        path = tmp_path / "table.csv"
        path.write_text(table(draw), encoding="utf-8")
        claim, repeat = draw.choice(claims), draw.choice([None] * 5 + ["cold"])
        name = f"table {trial} ({claim}, {repeat}): {path.read_bytes()[:300]!r}"
        refused += outcome(partial(verdicts, path, claim, repeat), name, faults)
    report(capsys, "tables", TABLES, refused, faults)
