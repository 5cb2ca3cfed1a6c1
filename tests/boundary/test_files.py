import os
import socket
import stat
from pathlib import Path

import pytest

from trimtab.boundary import (
    NotRegularFileError,
    TooLargeError,
    folders_above,
    inside,
    kind_of_file,
    leads_outside,
    open_regular,
    open_to_write,
    read_regular,
    refuse_links,
)


def test_a_regular_file_is_read_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular(tmp_path / "file") == b"content"
    assert read_regular(tmp_path / "file", at_most=7) == b"content"


def test_a_file_over_the_limit_is_refused_after_reading_no_more_than_the_limit(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading all of it would take minutes
    with pytest.raises(TooLargeError, match="more than 1,000 bytes"):
        read_regular(tmp_path / "file", at_most=1000)


@pytest.mark.parametrize("make", ["fifo", "folder", "device", "socket"])
def test_anything_but_a_regular_file_is_refused_at_once(tmp_path, make):
    path = tmp_path / "it"
    bound = None
    if make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    elif make == "device":
        path = Path("/dev/zero")
    else:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(path))
    with pytest.raises(NotRegularFileError) as error:
        open_regular(path)
    assert "not a regular file" in error.value.strerror
    if bound is not None:
        bound.close()


def test_a_fifo_is_refused_for_writing_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for mode in ("append", "update"):
        with pytest.raises(NotRegularFileError):
            open_to_write(tmp_path / "fifo", mode)


@pytest.mark.parametrize("mode", ["append", "update"])
def test_a_link_is_not_followed_for_writing(tmp_path, mode):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(NotRegularFileError, match="symbolic link"):
        open_to_write(tmp_path / "link", mode)
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_link_is_read_unless_links_are_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link") == b"text"
    with pytest.raises(NotRegularFileError, match="symbolic link"):
        read_regular(tmp_path / "link", follow=False)


def test_a_new_file_must_be_new_and_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        os.close(open_to_write(tmp_path / "file", "new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    with pytest.raises(FileExistsError):
        open_to_write(tmp_path / "file", "new")


def test_appending_keeps_the_existing_content(tmp_path):
    (tmp_path / "file").write_text("a")
    descriptor = open_to_write(tmp_path / "file", "append")
    os.write(descriptor, b"b")
    os.close(descriptor)
    assert (tmp_path / "file").read_text() == "ab"


def test_a_link_out_of_a_folder_leads_outside(tmp_path):
    inside, folder = tmp_path / "folder" / "inside", tmp_path / "folder"
    folder.mkdir()
    inside.write_text("x")
    (tmp_path / "folder2").write_text("x")
    targets = {"in": inside, "relative": "inside", "out": "../folder2", "away": "/etc/hostname", "itself": "itself"}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    (tmp_path / "alias").symlink_to(folder)
    for root in (folder, tmp_path / "alias"):
        assert [name for name in targets if leads_outside(root / name, root)] == ["out", "away"]


def test_a_path_below_a_folder_leads_through_no_link(tmp_path):
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert inside(tmp_path / "link", "a", "new") == tmp_path / "link" / "a" / "new"
    (tmp_path / "root" / "a" / "b").symlink_to(tmp_path)
    for names in (("a", "b"), ("a", "b", "c")):
        with pytest.raises(NotRegularFileError, match="symbolic link") as error:
            inside(tmp_path / "root", *names)
        assert error.value.filename == str(tmp_path / "root" / "a" / "b")


def test_a_link_is_found_at_any_depth(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    refuse_links(tmp_path)
    (tmp_path / "a" / "b" / "dangling").symlink_to("nowhere")
    with pytest.raises(NotRegularFileError, match="dangling"):
        refuse_links(tmp_path)


def test_the_folders_above_a_file_are_those_of_every_link_on_the_way(tmp_path):
    real = tmp_path / "real"
    (real / "a" / "b").mkdir(parents=True)
    (real / "a" / "b" / "file").write_text("")
    (tmp_path / "written").mkdir()
    (tmp_path / "written" / "folder").symlink_to("../middle")
    (tmp_path / "middle").symlink_to(real / "a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").symlink_to("../written/folder/b/file")
    expected = {real / "a" / "b", real / "a", real, tmp_path / "written", tmp_path / "other", *(tmp_path / "x").parents}
    assert set(folders_above(tmp_path / "other" / "file")) == expected
    assert folders_above(tmp_path / "other" / "file")[:3] == [real / "a" / "b", real / "a", real]


def test_two_dots_lead_to_the_parent_of_what_a_link_leads_to(tmp_path, monkeypatch):
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "run" / "deep")
    assert folders_above(tmp_path / "mine" / "link" / ".." / "file")[0] == tmp_path / "run"
    monkeypatch.chdir(tmp_path / "run" / "deep")
    assert folders_above("../../mine/file") == [tmp_path / "mine", *(tmp_path / "x").parents]


def test_links_in_a_circle_have_folders_too(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert tmp_path in folders_above(tmp_path / "a" / "file")


def test_the_kind_of_file_at_a_path_is_described_in_words(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "lost").symlink_to("absent")
    (tmp_path / "loop").symlink_to("loop")
    kinds = {
        name: kind_of_file(tmp_path / name) for name in ("folder", "file", "fifo", "link", "lost", "loop", "absent")
    }
    lost = "a symbolic link that leads nowhere"
    assert kinds == {
        "folder": "a folder", "file": "a file", "fifo": "a FIFO", "link": "a FIFO", "lost": lost, "loop": lost, "absent": None,
    }  # fmt: skip
