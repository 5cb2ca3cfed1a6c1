import os
from pathlib import Path

import pytest

from trimtab.boundary import user_path
from trimtab.errors import ConfigError


def test_a_path_need_not_exist_and_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs/a") == tmp_path / "runs" / "a"
    assert user_path("runs/a") == Path("runs/a")
    (tmp_path / "file").write_text("x")
    assert user_path(tmp_path / "file" / "below") == tmp_path / "file" / "below"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("~nobody-of-this-name/x", "home folder is not known"),
        ("y" * 300, "File name too long"),
        ("a/" * 3000, "File name too long"),
        ("a\0b", "no name can have"),
        ("a\ud800b", "no name can have"),
    ],
)
def test_a_path_that_no_file_can_have_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        user_path(text)
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="symbolic links"):
        user_path(tmp_path / "a")


def test_no_home_and_no_entry_for_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where the user has no entry in passwd
    with pytest.raises(ConfigError, match="is HOME set"):
        user_path("~/x")
