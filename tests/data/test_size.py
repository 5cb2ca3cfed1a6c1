"""Memory does not grow with the corpus."""

import subprocess
import sys
from pathlib import Path

import pytest

# Sampled, since the high-water mark that the system keeps begins with the parent's memory and with that of the imports.
MEASURE = """
import sys, threading, psutil
from trimtab.data import CharacterTokenizer, FileTokenizer, corpus
tokenizer = CharacterTokenizer() if sys.argv[2] == "character" else FileTokenizer(path=sys.argv[2])
corpus(tokenizer=tokenizer)
process = psutil.Process()
before = peak = process.memory_info().rss
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.001):
        peak = max(peak, process.memory_info().rss)
watcher = threading.Thread(target=watch)
watcher.start()
data = corpus(tokenizer=tokenizer, path=sys.argv[1])
done.set()
watcher.join()
print((peak - before) >> 20, data.report.tokens, data.report.inexact_cuts)
"""


def peak_growth(text: Path, tokenizer: str) -> tuple[int, int, int]:
    command = [sys.executable, "-c", MEASURE, str(text), tokenizer]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, tokens, cuts = map(int, done.stdout.split())
    return growth, tokens, cuts


def lines(path: Path, megabytes: int, end: str = "\n") -> None:
    with path.open("w") as file:
        number = 0
        while file.tell() < megabytes << 20:
            file.write(
                "".join(f"Line {number + n} says that {n * 7919 % 1013} is a number{end}" for n in range(10_000))
            )
            number += 10_000


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n", " "])
def test_50_megabytes_take_a_fraction_of_that_in_memory(tmp_path: Path, end: str) -> None:
    lines(tmp_path / "long.txt", 50, end)
    growth, tokens, cuts = peak_growth(tmp_path / "long.txt", "character")
    assert tokens >= 50 << 20
    assert cuts == 0
    assert growth < 15  # MB


# Without a line end the library works on half a megabyte at once; encoding the whole at once would take three gigabytes.
@pytest.mark.slow
@pytest.mark.parametrize(("end", "limit"), [("\n", 110), (" ", 200)])
def test_bpe_takes_a_bounded_amount_of_memory_even_without_line_ends(
    tmp_path: Path, bpe_file: Path, end: str, limit: int
) -> None:
    lines(tmp_path / "long.txt", 16, end)
    growth, tokens, cuts = peak_growth(tmp_path / "long.txt", str(bpe_file))
    assert tokens > 3 << 20
    assert cuts == 0  # a cut inside a line is tried, and changes no token here
    assert growth < limit  # MB
