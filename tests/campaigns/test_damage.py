"""Damaged run folders: every command ends with a clear message, nothing hangs, nothing outside is written, no result is silently wrong."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fork_server import Command
from tests.training.small_runs import DECODER, EVERYTHING, config, environment, weights
from trimtab.training import RunContext, train

pytestmark = pytest.mark.slow

TRIALS = 60
PLAIN = [*DECODER, *(item for item in EVERYTHING if "Brake" not in item)]
PRECIOUS = "a file of the user's, outside of the run"

Damage = Callable[[Path, Path, random.Random], None]


def truncated(path: Path, outside: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def flipped(path: Path, outside: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def emptied(path: Path, outside: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def noise(path: Path, outside: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(draw.randrange(1, 4000)))


def missing(path: Path, outside: Path, draw: random.Random) -> None:
    path.unlink()


def a_folder(path: Path, outside: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def a_fifo(path: Path, outside: Path, draw: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path, outside: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_link_outside(path: Path, outside: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to(outside)


def other_json(path: Path, outside: Path, draw: random.Random) -> None:
    """Valid JSON of another shape: in a JSON file one value of any depth, in a JSONL file one row's."""
    values = [None, [], {}, "text", 2**70, -1, True, [[]], {"a": None}, "\x1b[2J", 1e308]
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    place = draw.randrange(len(lines))
    whole = json.loads(lines[place])
    here = whole
    while True:
        key = draw.choice(list(here) if isinstance(here, dict) else list(range(len(here))))
        if not isinstance(here[key], dict | list) or not here[key] or draw.random() < 0.4:
            here[key] = draw.choice(values)
            break
        here = here[key]
    lines[place] = json.dumps(whole)
    path.write_text("\n".join(lines) + "\n")


def row_missing(path: Path, outside: Path, draw: random.Random) -> None:
    lines = path.read_text().splitlines(keepends=True)
    del lines[draw.randrange(len(lines))]
    path.write_text("".join(lines))


ANY: list[Damage] = [truncated, flipped, emptied, noise, missing, a_folder, a_fifo, a_device, a_link_outside]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole`, a finished run, and `stopped`, the same run interrupted at step 14 of 24."""
    folder = tmp_path_factory.mktemp("damage")
    train(config(base=PLAIN), folder / "whole")
    answers = iter([None] * 14 + ["interrupted"] * 20)
    train(config(base=PLAIN), folder / "stopped", RunContext(stop=lambda: next(answers)))
    return folder


def test_no_damage_to_a_run_ends_in_a_traceback_a_hang_or_a_silent_change(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, faults, commands, refused = random.Random(20), [], 0, 0
    outside, env = tmp_path / "mine", environment() | {"OMP_NUM_THREADS": "1"}
    for trial in range(TRIALS):
        kind = draw.choice(["whole", "stopped"])
        folder = tmp_path / f"runs-{trial}"
        shutil.copytree(base / kind, folder / "run")
        outside.write_text(PRECIOUS)
        files = sorted(p for p in (folder / "run").rglob("*") if p.is_file() and p.stat().st_size)
        path = draw.choice(files)
        ways = ANY + [other_json] * 3 * (path.suffix in (".json", ".jsonl"))
        damage = draw.choice(ways + [row_missing] * 3 * (path.suffix == ".jsonl"))
        damage(path, outside, draw)
        where = f"{kind}: {path.relative_to(folder)}: {damage.__name__}"
        readers = [
            ["list", "."], ["show", "run"], ["export", "run", "--to", "csv"], ["diff", "run", str(base / "whole")],
            ["sample", "run", "--tokens", "4"],
        ]  # fmt: skip
        for argv in (*draw.sample(readers, 2), ["resume", "run"], ["replay", "run"]):
            commands += 1
            done = Command(*argv, cwd=folder, env=env, merged=True).finish(60)
            code, text = done.returncode, done.stdout
            refused += code == 2
            if code not in (0, 1, 2) or "Traceback (most recent call last)" in text:
                faults.append(f"{where}: {argv[0]}: exit {code}\n{text[-1500:]}")
            if "\x1b" in text:
                faults.append(f"{where}: {argv[0]}: a control character reaches the terminal\n{text[-300:]}")
            if argv[0] == "resume" and code == 0 and weights(folder / "run") != weights(base / "whole"):
                faults.append(f"{where}: resume ends with other weights\n{text[-500:]}")
        if outside.read_text() != PRECIOUS:
            faults.append(f"{where}: a file outside of the run was written")
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f"\ndamage: {TRIALS} damaged folders, {commands} commands, {refused} refusals, {len(faults)} faults")
    assert not faults, "\n\n".join(faults)
