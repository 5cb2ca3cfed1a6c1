import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data import text_files
from trimtab.data.text_files import NotTextError, ScanMemory, TextDecoder, list_text_files, read_text, scan
from trimtab.errors import DataError


def decoded(content: bytes, step: int) -> str:
    decoder = TextDecoder()
    blocks = [content[start : start + step] for start in range(0, len(content), step)]
    return "".join(decoder.feed(block) for block in blocks) + decoder.feed(b"", final=True)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")), step=st.integers(1, 7))
def test_blocks_of_any_size_decode_to_the_text(text: str, step: int) -> None:
    expected = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert decoded(text.encode(), step) == expected


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_a_byte_order_mark_is_dropped_and_line_ends_become_newlines(step: int) -> None:
    assert decoded(b"\xef\xbb\xbfone\r\ntwo\rthree\n\r\nfour\r", step) == "one\ntwo\nthree\n\nfour\n"


@pytest.mark.parametrize("step", [1, 3, 4, 100])
@pytest.mark.parametrize(
    ("content", "position"),
    [(b"ab\xe9 cd", "byte 2 (0xe9)"), ("äö".encode() + b"\xc3", "byte 4 (0xc3)"), (b"abcdefg\xff", "byte 7 (0xff)")],
)
def test_the_first_byte_that_is_not_utf8_is_named(content: bytes, position: str, step: int) -> None:
    with pytest.raises(NotTextError) as caught:
        decoded(content, step)
    assert position in str(caught.value)


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_nul_is_named(step: int) -> None:
    with pytest.raises(NotTextError, match="byte 4 is NUL"):
        decoded(b"abcd\0ef", step)


def test_a_folder_is_listed_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/.hidden.txt", ".git/config", "a-b.txt", "C.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("b.txt")
    (tmp_path / "system").symlink_to("/etc/hostname")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    files, unreadable = list_text_files(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        "C.txt",
        "a/z.txt",
        "a-b.txt",
        "b.txt",
        "linked",
    ]
    assert [(path.name, reason) for path, reason in unreadable] == [
        ("broken", "a broken link"),
        ("loop", "a link to a folder"),
        ("pipe", "not a regular file"),
        ("system", "a link to a file outside the folder"),
    ]


def test_a_file_that_changes_between_scan_and_reading_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("first")
    result = scan(path)
    assert "".join(text for text, _ in read_text(path, result.sha256)) == "first"
    path.write_text("other")
    with pytest.raises(DataError, match="changed while it was being read"):
        list(read_text(path, result.sha256))
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match="changed while it was being read"):
        list(read_text(path, result.sha256))
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        list(read_text(path, result.sha256))


def test_a_scan_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, memory = tmp_path / "text.txt", tmp_path / "memory.json"
    (tmp_path / "binary").write_bytes(b"\0")
    path.write_text("first")
    first = ScanMemory(memory)
    results = [first.scan(path), first.scan(tmp_path / "binary")]
    first.save()
    assert results == [scan(path), scan(tmp_path / "binary")]
    with monkeypatch.context() as patch:
        patch.setattr(text_files, "scan", lambda *_: pytest.fail("read again"))
        assert [ScanMemory(memory).scan(path), ScanMemory(memory).scan(tmp_path / "binary")] == results
    state = path.stat()
    path.write_text("other")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # same size, and the modification time set back
    assert ScanMemory(memory).scan(path) == scan(path) != results[0]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b"\xff", b'{"NAME": [[5, 1, 1], 5, "", null]}', b'{"NAME": 3}']
)
def test_a_damaged_memory_file_is_ignored(tmp_path: Path, damage: bytes) -> None:
    path, memory = tmp_path / "text.txt", tmp_path / "memory.json"
    path.write_text("first")
    memory.write_bytes(damage.replace(b"NAME", str(path).encode()))
    again = ScanMemory(memory)
    assert again.scan(path) == scan(path)
    again.save()
    assert ScanMemory(memory).scan(path) == scan(path)


def test_a_file_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt cannot be read"):
        ScanMemory(tmp_path / "memory.json").scan(tmp_path / "gone.txt")
