import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data import embedded_corpus, open_corpus, text_files
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import Progress, RunEvent


def text_of(path: str | list[str]) -> str:
    return "".join(open_corpus(path).blocks())


def test_the_embedded_corpus_is_the_topics_in_sorted_order() -> None:
    from pydoc_data.topics import topics

    text = "".join(open_corpus(None).blocks())
    assert text.startswith(topics[min(topics)])
    assert len(text) == sum(len(topic) + (not topic.endswith("\n")) for topic in topics.values())
    assert open_corpus(None).sha256 == embedded_corpus().sha256


def test_importing_the_data_package_and_the_embedded_corpus_gives_no_warning() -> None:
    code = "from trimtab.data import embedded_corpus; embedded_corpus()"
    process = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")


def test_a_python_without_the_embedded_corpus_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"pydoc_data\.topics"):
        open_corpus(None)


def test_documents_without_a_final_newline_are_joined_by_one(tmp_path: Path) -> None:
    for name, content in (("1", "one"), ("2", "two\n"), ("3", "three\r\n"), ("4", "four")):
        (tmp_path / name).write_bytes(content.encode())
    assert text_of(str(tmp_path)) == "one\ntwo\nthree\nfour"
    assert text_of([str(tmp_path / "4"), str(tmp_path / "1")]) == "four\none"


@given(st.lists(st.text(alphabet="ab\n\ufeff", min_size=1), min_size=1, max_size=5))
def test_joining_keeps_every_document(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("texts")
    for index, text in enumerate(texts):
        (folder / f"{index}.txt").write_text(text)
    read = [text.removeprefix("\ufeff") for text in texts]
    read = [text for text in read if text]
    expected = "".join(text if text.endswith("\n") else text + "\n" for text in read[:-1]) + "".join(read[-1:])
    assert text_of(str(folder)) == expected


def test_files_that_are_not_text_are_skipped_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "sub" / "b.md").write_text("more")
    (tmp_path / "c.bin").write_bytes(b"ab\0cd")
    (tmp_path / "d.latin").write_bytes("naïve".encode("latin-1"))
    (tmp_path / "e.empty").touch()
    (tmp_path / ".hidden").write_bytes(b"\0")
    corpus = open_corpus(str(tmp_path))
    assert [(Path(entry.name).name, entry.size) for entry in corpus.files] == [("a.txt", 4), ("b.md", 4)]
    assert [(Path(name).name, size) for name, size, _ in corpus.skipped] == [
        ("c.bin", 5),
        ("d.latin", 5),
        ("e.empty", 0),
    ]
    assert [reason for _, _, reason in corpus.skipped] == [
        "byte 2 is NUL (a binary file, or text in UTF-16)",
        "byte 2 (0xef) is not UTF-8 (invalid continuation byte)",
        "empty",
    ]


def test_the_fingerprint_depends_on_the_content_and_not_on_the_names(tmp_path: Path) -> None:
    for name, content in (("a", "one"), ("b", "two"), ("c", "one")):
        (tmp_path / name).write_text(content)

    def sha256(*names: str) -> str:
        return open_corpus([str(tmp_path / name) for name in names]).sha256

    assert sha256("a", "b") == sha256("c", "b")
    assert len({sha256("a", "b"), sha256("b", "a"), sha256("a"), sha256("a", "a")}) == 4


def test_the_name_is_the_last_part_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    assert open_corpus(str(tmp_path / "a.txt")).name == "a.txt"
    assert open_corpus(str(tmp_path)).name == tmp_path.name
    assert open_corpus([str(tmp_path / "a.txt")] * 3).name == "a.txt and 2 more"


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    path.write_text("one")
    assert open_corpus(str(tmp_path)).files[0].name.endswith("\\xff.txt")


def test_a_path_that_cannot_be_a_corpus_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary").write_bytes(b"x" * 70 + b"\0")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "file-as-folder").write_text("text")
    os.mkfifo(tmp_path / "pipe")
    cases: list[tuple[str | list[str], str]] = [
        (str(tmp_path / "none.txt"), "does not exist"),
        (str(tmp_path / "file-as-folder" / "x"), "does not exist"),
        ("", "data.path: The path is empty"),
        ("x" * 5000, "cannot be used: File name too long"),
        ("~nobody-of-this-name/x", "Write the path out"),
        ([], "empty list"),
        ([str(tmp_path / "file-as-folder"), str(tmp_path / "none.txt")], "does not exist"),
        (str(tmp_path / "empty.txt"), "is empty"),
        (str(tmp_path / "binary"), "byte 70 is NUL"),
        (str(tmp_path / "latin.txt"), "byte 3 (0xe9) is not UTF-8"),
        ([str(tmp_path / "folder"), str(tmp_path / "binary")], "byte 70 is NUL"),
        (str(tmp_path / "folder"), "no text"),
        (str(tmp_path / "pipe"), "neither a regular file nor a folder"),
    ]
    for path, expected in cases:
        with pytest.raises((ConfigError, DataError)) as caught:
            open_corpus(path)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    if os.geteuid() == 0:
        secret.symlink_to("/proc/self/mem")  # root may read every file, but nobody the memory at address 0
        places = [secret]  # in the folder it is a link to a file outside
    else:
        secret.write_text("x")
        secret.chmod(0)
        places = [tmp_path, secret]
    for path in places:
        with pytest.raises(DataError, match=r"secret\.txt cannot be read"):
            open_corpus(str(path))


def test_reading_reports_its_progress(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 30)
    (tmp_path / "b.txt").write_text("y" * 12)
    calls: list[RunEvent] = []
    source = open_corpus(str(tmp_path), calls.append)
    assert calls == [Progress("reading the corpus", "byte", count, 42) for count in (30, 42)]
    list(source.blocks(calls.append))
    assert calls[2:] == [Progress("encoding the corpus", "byte", count, 42) for count in (30, 42)]


def test_reading_a_long_file_reports_its_progress_per_block(tmp_path: Path) -> None:
    path, size = tmp_path / "long.txt", 5 * text_files.BLOCK // 2
    path.write_bytes(b"x" * size)
    calls: list[RunEvent] = []
    source = open_corpus(str(path), calls.append)
    list(source.blocks(calls.append))
    steps = [text_files.BLOCK, 2 * text_files.BLOCK, size]
    assert calls == [
        Progress(f"{stage} the corpus", "byte", step, size) for stage in ("reading", "encoding") for step in steps
    ]


def test_the_scan_of_a_large_corpus_is_remembered(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x" * 30)
    open_corpus(str(tmp_path / "texts"))
    assert not cache.exists()
    monkeypatch.setattr(sys.modules["trimtab.data.corpus"], "REMEMBER_ABOVE", 29)
    first = open_corpus(str(tmp_path / "texts"))
    assert len(list((cache / "scans").iterdir())) == 1
    assert open_corpus(str(tmp_path / "texts")).sha256 == first.sha256
