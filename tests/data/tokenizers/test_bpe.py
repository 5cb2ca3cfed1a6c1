import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.data import embedded_corpus, train_bpe
from trimtab.errors import ConfigError, DataError, WorkError


def test_the_same_text_gives_the_same_file_in_another_process(bpe_file: Path, tmp_path: Path) -> None:
    code = "import sys; from trimtab.data import train_bpe; train_bpe(None, 600, sys.argv[1])"
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "again.json")], capture_output=True, check=True
    )
    assert (tmp_path / "again.json").read_bytes() == bpe_file.read_bytes()
    assert (process.stdout, process.stderr) == (b"", b"")  # no bar where nobody looks


def test_training_reads_text_as_a_corpus_does(tmp_path: Path) -> None:
    text = "".join(embedded_corpus().blocks())[:50_000]
    (tmp_path / "unix.txt").write_bytes(text.encode())
    (tmp_path / "dos.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    for name in ("unix", "dos"):
        train_bpe(str(tmp_path / f"{name}.txt"), 400, tmp_path / f"{name}.json")
    assert (tmp_path / "unix.json").read_bytes() == (tmp_path / "dos.json").read_bytes()


def test_a_small_text_may_give_a_smaller_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("ab ab ab")
    tokenizer = train_bpe([str(tmp_path / "small.txt")], 5000, tmp_path / "out.json")
    assert 257 < tokenizer.vocabulary < 265
    assert tokenizer.encode("ab").tolist() != []
    assert tokenizer.decode([0]) == "<PAD>"


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("precious")
    with pytest.raises(ConfigError, match="already exists"):
        train_bpe(None, 300, out)
    assert out.read_text() == "precious"
    assert train_bpe(None, 300, out, overwrite=True).vocabulary == 300


def test_wrong_input_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with pytest.raises(ConfigError, match="256 bytes"):
        train_bpe(str(tmp_path / "none"), 256, out)
    with pytest.raises(ConfigError, match="minimum frequency"):
        train_bpe(str(tmp_path / "none"), 300, out, minimum_frequency=0)
    with pytest.raises(ConfigError, match="is a folder"):
        train_bpe(str(tmp_path / "none"), 300, tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        train_bpe(str(tmp_path / "none"), 300, out)
    with pytest.raises(WorkError):
        (tmp_path / "file").write_text("x")
        train_bpe(None, 300, tmp_path / "file" / "out.json")
    assert not out.exists()
