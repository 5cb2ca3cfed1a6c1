"""The memory for building data does not grow with the corpus."""

import subprocess
import sys
from pathlib import Path

import pytest

# Sampled, because the peak that the system reports includes the memory of the parent process and of the imports.
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
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, tokens, cuts = map(int, process.stdout.split())
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
def test_a_corpus_of_50_megabytes_needs_less_than_15_megabytes_of_memory(tmp_path: Path, end: str) -> None:
    lines(tmp_path / "long.txt", 50, end)
    growth, tokens, cuts = peak_growth(tmp_path / "long.txt", "character")
    assert tokens >= 50 << 20
    assert cuts == 0
    assert growth < 15  # MB


# Without line ends half a megabyte is encoded at once; encoding the whole text at once would take three gigabytes.
@pytest.mark.slow
@pytest.mark.parametrize(("end", "limit"), [("\n", 110), (" ", 200)])
def test_bpe_takes_a_bounded_amount_of_memory_even_without_line_ends(
    tmp_path: Path, bpe_file: Path, end: str, limit: int
) -> None:
    lines(tmp_path / "long.txt", 16, end)
    growth, tokens, cuts = peak_growth(tmp_path / "long.txt", str(bpe_file))
    assert tokens > 3 << 20
    assert cuts == 0  # cuts inside a line are tested, and change no token here
    assert growth < limit  # MB
