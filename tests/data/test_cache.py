import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models

from trimtab.data import CharacterTokenizer, FileTokenizer, cache_folder, open_corpus
from trimtab.data.cache import encoded, unknown_before
from trimtab.errors import ConfigError, WorkError

TEXT = "Some text, naïve and long enough.\n" * 50

BUILD = """
import sys
from trimtab.data import CharacterTokenizer, open_corpus
from trimtab.data.cache import encoded
tokens, entry = encoded(open_corpus(sys.argv[1]), CharacterTokenizer())
print(entry.sha256, len(tokens))
"""


KILL = """
import os, signal
def on_event(event):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


def files(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "corpora").iterdir() if path.suffix in (".bin", ".json", ".tmp"))


def test_tokens_are_encoded_once_and_mapped(source: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = CharacterTokenizer()
    tokens, entry = encoded(open_corpus(source), tokenizer)
    assert tokens.tolist() == tokenizer.encode(TEXT).tolist()
    assert isinstance(tokens.base, np.memmap)
    assert not tokens.flags.writeable
    assert (entry.tokens, entry.characters, entry.unknown_tokens) == (len(TEXT), len(TEXT), 50)
    assert [path.suffix for path in files(cache)] == [".bin", ".json"]
    monkeypatch.setattr(tokenizer, "encode", lambda _: pytest.fail("encoded again"))
    again, same = encoded(open_corpus(source), tokenizer)
    assert again.tolist() == tokens.tolist()
    assert same == entry


def test_other_content_and_other_tokenizers_have_separate_caches(source: str, cache: Path) -> None:
    encoded(open_corpus(source), CharacterTokenizer())
    encoded(open_corpus(source), CharacterTokenizer(policy="ascii128"))
    Path(source).write_text(TEXT + "more")
    tokens, _ = encoded(open_corpus(source), CharacterTokenizer())
    assert len(tokens) == len(TEXT) + 4
    assert len(files(cache)) == 6


def damage_flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a flipped bit": (".bin", damage_flip),
    "a truncated file": (".bin", lambda path: os.truncate(path, 100)),
    "a longer file": (".bin", lambda path: path.write_bytes(path.read_bytes() + b"x")),
    "no tokens": (".bin", Path.unlink),
    "no entry": (".json", Path.unlink),
    "half an entry": (".json", lambda path: os.truncate(path, 50)),
    "another's entry": (".json", lambda path: path.write_text("[1]")),
    "an entry without keys": (".json", lambda path: path.write_text("{}")),
    "an entry of another version": (".json", lambda path: path.write_text(path.read_text().replace(": 1,", ": 0,", 1))),
    "an entry with an impossible type": (".json", lambda path: path.write_text(path.read_text().replace("|u1", "|?!"))),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_cache_is_encoded_again(name: str, source: str, cache: Path) -> None:
    first, entry = encoded(open_corpus(source), CharacterTokenizer())
    ids = first.tolist()
    sound = [path.read_bytes() for path in files(cache)]
    suffix, damage = DAMAGES[name]
    (path,) = (path for path in files(cache) if path.suffix == suffix)
    damage(path)
    tokens, again = encoded(open_corpus(source), CharacterTokenizer())
    assert tokens.tolist() == ids
    assert again == entry
    assert [path.read_bytes() for path in files(cache)] == sound


def test_a_large_file_of_tokens_is_verified_once_and_after_each_change(
    source: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["trimtab.data.cache"], "REMEMBER_ABOVE", 10)
    first, entry = encoded(open_corpus(source), CharacterTokenizer())
    ids = first.tolist()
    encoded(open_corpus(source), CharacterTokenizer())
    (note,) = cache.glob("corpora/*.checked")
    assert json.loads(note.read_bytes())["sha256"] == entry.sha256
    damage_flip(files(cache)[0])
    tokens, _ = encoded(open_corpus(source), CharacterTokenizer())
    assert tokens.tolist() == ids
    note.write_text("{}")
    tokens, _ = encoded(open_corpus(source), CharacterTokenizer())
    assert tokens.tolist() == ids


def test_several_processes_at_once_encode_the_same_tokens(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(TEXT * 2000)
    command = [sys.executable, "-c", BUILD, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=120) for process in running]
    assert [error for _, error in answers] == [""] * 3
    assert len({out for out, _ in answers}) == 1
    assert answers[0][0].split()[1] == str(len(TEXT) * 2000)
    assert [path.suffix for path in files(cache)] == [".bin", ".json"]


def test_the_leftovers_of_a_killed_writer_are_ignored_and_removed(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 1000)
    code = KILL + BUILD.replace("CharacterTokenizer())", "CharacterTokenizer(), on_event)")
    process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert [path.suffix for path in files(cache)] == [".tmp"]
    tokens, _ = encoded(open_corpus(str(path)), CharacterTokenizer())
    assert len(tokens) == len(TEXT) * 1000
    assert [path.suffix for path in files(cache)] == [".bin", ".json"]


def test_a_full_disk_is_an_error_that_names_the_cache_and_leaves_no_files(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 1000)
    code = (
        "import resource, signal\n"
        "from trimtab.errors import WorkError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, resource.RLIM_INFINITY))\n"
        "try:\n    exec(BUILD)\nexcept WorkError as error:\n    print('WorkError:', error)\n"
    )
    command = [sys.executable, "-c", f"BUILD = {BUILD!r}\n{code}", str(path)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.startswith("WorkError: Could not write")
    assert "$TRIMTAB_CACHE" in process.stdout
    assert files(cache) == []


def test_a_cache_folder_that_cannot_be_made_is_named(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_CACHE", f"{source}/below-a-file")
    with pytest.raises(WorkError, match=r"\$TRIMTAB_CACHE"):
        encoded(open_corpus(source), CharacterTokenizer())


def test_a_complete_cache_is_used_in_a_folder_without_write_permission(source: str, cache: Path) -> None:
    encoded(open_corpus(source), CharacterTokenizer())
    (cache / "corpora").chmod(0o500)
    for lock in cache.glob("corpora/*.lock"):
        lock.unlink()
    tokens, _ = encoded(open_corpus(source), CharacterTokenizer())
    assert len(tokens) == len(TEXT)
    assert not list(cache.glob("corpora/*.lock"))
    (cache / "corpora").chmod(0o700)


def test_the_cache_folder_follows_the_environment_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TRIMTAB_CACHE", "~/own")
    assert cache_folder() == tmp_path / "home" / "own"
    monkeypatch.setenv("TRIMTAB_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "trimtab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / "home" / ".cache" / "trimtab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "trimtab"


@pytest.mark.parametrize(
    ("variable", "value", "begins"),
    [
        ("XDG_CACHE_HOME", "/" + "y" * 300, "XDG_CACHE_HOME: The path /y"),
        ("HOME", "/" + "y" * 300, "The path ~/.cache/trimtab cannot be used"),
        ("TRIMTAB_CACHE", "y" * 300, "TRIMTAB_CACHE: The path y"),
    ],
)
def test_an_unusable_cache_folder_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, begins: str
) -> None:
    for name in ("TRIMTAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        cache_folder()
    assert str(caught.value).startswith(begins)
    assert str(caught.value).endswith("unless the variable TRIMTAB_CACHE names another folder.") == (
        variable != "TRIMTAB_CACHE"
    )


@pytest.mark.parametrize("kind", ["character", "file"])
def test_a_streamed_file_has_the_tokens_of_its_whole_text(kind: str, tmp_path: Path, bpe_file: Path) -> None:
    path = tmp_path / "long.txt"
    content = "".join(f"Line {n}: naïve “quotes”,\r\n\r\n  indented{n}\n" for n in range(60_000)).encode()
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert len(content) > 2 << 20  # several blocks
    tokenizer = CharacterTokenizer() if kind == "character" else FileTokenizer(path=str(bpe_file))
    tokens, entry = encoded(open_corpus(str(path)), tokenizer)
    text = content.decode().replace("\r\n", "\n")
    assert np.array_equal(tokens, tokenizer.encode(text))
    assert tokenizer.dtype == tokens.dtype
    assert (entry.characters, entry.inexact_cuts) == (len(text), 0)
    if kind == "character":
        assert entry.unknown_characters == [[ord(c), 60_000] for c in "ï“”"]
    else:
        assert entry.unknown_characters == []


@pytest.mark.parametrize(("kind", "lines"), [("unknown token", 20_000), ("dropped", 200)])
def test_unknown_characters_are_counted_up_to_any_token(kind: str, lines: int, tmp_path: Path) -> None:
    path, alphabet = tmp_path / "long.txt", sorted(set("plain text here\n"))
    text = "plain text here\n" * lines + "text é☃\n" * (4 * lines) + "text\n" * lines + "é\n" * 10
    path.write_text(text)
    tokenizer: CharacterTokenizer | FileTokenizer = CharacterTokenizer()
    if kind == "dropped":
        dropping = tokenizers.Tokenizer(models.BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
        dropping.save(str(tmp_path / "dropping.json"))
        tokenizer = FileTokenizer(path=str(tmp_path / "dropping.json"))
    corpus = open_corpus(str(path))
    tokens, entry = encoded(corpus, tokenizer)
    unknown = 8 * lines + 10
    assert (entry.unknown_tokens, entry.dropped_characters) == ((0, unknown) if kind == "dropped" else (unknown, 0))
    known = np.array([char in alphabet for char in text])
    ends = np.flatnonzero(known) if kind == "dropped" else np.arange(len(text))
    for count in (0, 1, 20 * lines, 30 * lines + 1, len(tokens) - 15, len(tokens)):
        position = ends[count] if count < len(tokens) else len(text)
        assert unknown_before(corpus, tokenizer, entry, count) == np.count_nonzero(~known[:position])
