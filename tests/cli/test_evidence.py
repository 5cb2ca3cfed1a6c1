"""`trimtab evidence` on files as anybody would bring them."""

import json
import math
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab.cli.commands import app
from trimtab.cli.evidence import _print_table
from trimtab.errors import TrimtabError
from trimtab.evidence import judge_table, parse_claim, read_table
from trimtab.evidence.wording import percent
from trimtab.records import to_json

ROWS = [
    (0, 3.02, 2.95),
    (1, 3.40, 3.29),
    (2, 2.91, 2.83),
    (3, 3.15, 3.09),
    (4, 3.33, 3.20),
    (5, 3.08, 2.99),
    (6, 3.21, 3.11),
    (7, 2.99, 2.93),
]


def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    lines = ["arm,seed,val_loss", *(f"plain,{s},{a}\nhot,{s},{b}" for s, a, b in ROWS)]
    path.write_text("\n".join(lines) + "\n")
    return path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "trimtab.cli.main", "evidence", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_verdict_in_one_line(tmp_path: Path) -> None:
    done = command(str(results(tmp_path)), "--claim", "val_loss lower 0.02")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("hot against plain, val_loss: superior; difference -0.0875 (95% interval -0.1")
    assert "sign-flip p 0.0078" in done.stdout


def test_json_is_one_entry_a_comparison(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evidence", str(results(tmp_path)), "--claim", "val_loss lower 0.02", "--json"])
    assert done.exit_code == 0
    (entry,) = json.loads(done.stdout)
    assert (entry["verdict"], entry["n"], entry["p_value"], entry["pairing"]) == ("superior", 8, 2 / 256, "seed")


def test_options(tmp_path: Path) -> None:
    arguments = ["evidence", str(results(tmp_path)), "--claim", "val_loss lower 0.02", "--baseline", "hot", "--json"]
    (entry,) = json.loads(CliRunner().invoke(app, [*arguments, "--pairing", "fork", "--alpha", "0.01"]).stdout)
    assert (entry["treatment"], entry["verdict"], entry["level"], entry["pairing"]) == (
        "plain",
        "inferior",
        0.99,
        "fork",
    )


def test_without_a_claim_there_is_no_verdict(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evidence", str(results(tmp_path))])
    assert done.exit_code == 0
    assert "exploratory" in done.stdout and "--claim" in done.stdout
    assert "superior" not in done.stdout


def test_the_table_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    monkeypatch.setenv("COLUMNS", "160")
    _print_table(judge_table(read_table(results(tmp_path)), [parse_claim("val_loss lower 0.02")]))
    shown = capsys.readouterr().out
    for word in ("metric", "noise floor", "superior", "-0.0875", "0.0078", "100%"):
        assert word in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--claim", "val_loss down 0.02"], ["val_loss down 0.02", "lower"]),
        (["--claim", "loss lower 0.02"], ["no metric 'loss'", "val_loss"]),
        (["--baseline", "cold"], ["no arm 'cold'", "plain, hot"]),
        (["--pairing", "luck"], ["--pairing", "luck"]),
        (["--claim", "val_loss lower 0.02", "--alpha", "5"], ["alpha", "5"]),
    ],
)
def test_bad_options(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    done = command(str(results(tmp_path)), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    paragraph = done.stderr.strip()
    assert paragraph.startswith("trimtab: ") and "\n" not in paragraph
    for word in words:
        assert word in paragraph


def mutated(generator: random.Random) -> tuple[bytes, str, float]:
    """A table with a few faults in it, a claim and an alpha."""
    scale = generator.choice([1, 1, 1, 1e-300, 5e-324, 1e150, 1e307])
    extra = generator.choice([[], [], ["acc"], ["trunk"], ["diverged", "untrained_val_loss"]])
    rows = [["arm", "seed", "val_loss", *extra]]
    for seed in range(generator.choice([1, 5, 6, 8])):
        for arm in ("plain", "hot"):
            more = {"trunk": str(seed // 2), "diverged": generator.choice(["0", "1", "0.0", "true"])}
            rows.append(
                [arm, str(seed), *(more.get(name, repr(scale * generator.gauss(3, 1))) for name in rows[0][2:])]
            )
    odd = [
        "0",
        "1e-320",
        "1.7976931348623157e308",
        "nan",
        "-inf",
        "",
        "abc",
        "1e400",
        "3,5",
        "9" * 5000,
        "\x1b[31m",
        "é",
        "\x00",
    ]
    for _ in range(generator.choice([0, 0, 1, 1, 2])):
        row = generator.choice(rows)
        place = generator.randrange(len(row) or 1)
        match generator.randrange(5):
            case 0 | 1:
                row[place : place + 1] = [generator.choice(odd)]
            case 2:
                row.insert(place, generator.choice(odd))
            case 3:
                del row[place : place + 1]
            case _:
                rows.insert(generator.randrange(len(rows)), list(row))
    separator = generator.choice([*",,,,,,,,,,", ";", "\t"])
    data = bytearray("\n".join(separator.join(row) for row in rows), "utf-8")
    if generator.random() < 0.1:
        data[generator.randrange(len(data))] = generator.randrange(256)
    margin = generator.choice(["0.02", "0.02", "1e-300", "1e300", "5e-324", "0.02 log", "0.02 trimmed", "nan"])
    alpha = 0.05 if generator.random() < 0.9 else generator.choice([1e-320, 1e-9, 0.4999, 0.7])
    return bytes(data), f"val_loss lower {margin}", alpha


@pytest.mark.parametrize("tables", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_mutated_table_gives_a_verdict_or_one_paragraph(tmp_path, tables):
    generator, counts = random.Random(tables), {0: 0, 2: 0}
    path = tmp_path / "table.csv"
    for _ in range(tables):
        data, claim, alpha = mutated(generator)
        path.write_bytes(data)
        try:
            verdicts = judge_table(read_table(path), [parse_claim(claim, alpha)])
        except TrimtabError as error:
            counts[error.exit_code] += 1
            assert len(str(error)) < 1000 + len(str(path))
            assert str(error).isprintable()
        else:
            counts[0] += 1
            for verdict in verdicts:
                assert math.isfinite(verdict.mean_difference)
                assert " 100% interval" not in verdict.sentence
                json.dumps(to_json(verdict.as_dict()), allow_nan=False)
    print(f"{tables} mutated tables: {counts[0]} judged, {counts[2]} refused, 0 faults")
    assert min(counts.values()) > tables / 10


def test_names_from_the_file_reach_the_terminal_as_text(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "names.csv"
    arms = ("[bold]base[/bold]", "a[/red]\x1b[2J")
    lines = [f"{arm},{s},{(a, b)[arm == arms[1]]}" for s, a, b in ROWS for arm in arms]
    path.write_text("\n".join(["arm,seed,loss[/x]", *lines]))
    done = CliRunner().invoke(app, ["evidence", str(path), "--claim", "loss[/x] lower 0.02"])
    assert done.exit_code == 0
    assert "a[/red]\\x1b[2J against [bold]base[/bold], loss[/x]: superior" in done.stdout
    assert "\x1b" not in done.stdout
    _print_table(judge_table(read_table(path), [parse_claim("loss[/x] lower 0.02")]))
    table = capsys.readouterr().out
    assert "loss[/x]" in table
    assert "a[/red]\\x1b[2J" in table


@pytest.mark.parametrize(("level", "words"), [(0.95, "95%"), (0.98333, "98.3%"), (0.99996, "99.996%"), (1 - 1e-12, "99.9999999999%"),
                                              (1.0, "100%"), (0.0, "0%"), (2e-5, "0.002%")])  # fmt: skip
def test_only_a_whole_share_is_a_hundred_per_cent(level, words):
    assert percent(level) == words


def test_an_alpha_is_checked_without_a_claim(tmp_path):
    done = CliRunner().invoke(app, ["evidence", str(results(tmp_path)), "--alpha", "7"])
    assert "--alpha" in str(done.exception)


def test_a_bad_file(tmp_path: Path) -> None:
    path = results(tmp_path)
    path.write_text(path.read_text().replace("hot,3,3.09\n", ""))
    done = command(str(path))
    assert done.returncode == 2
    assert "arm 'hot' has no run with seed 3, which 'plain' has" in done.stderr
    assert command(str(tmp_path / "none.csv")).returncode == 2


def test_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["evidence", "--help"])
    assert "trimtab evidence results.csv --baseline plain --claim" in done.stdout


def test_the_example_in_the_documentation_is_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    ((line, output),) = re.findall(r"```console\n\$ trimtab (.*?)\n(.*?)```", page, re.DOTALL)
    (tmp_path / "results.csv").write_text(table)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, shlex.split(line)).stdout == output


def test_the_python_example_in_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    shown = capsys.readouterr().out
    assert "12 pairs, 1 claim" in shown and "warm against plain, val_loss: superior" in shown
