import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.boundary import folder_name, is_plain_name


@pytest.mark.parametrize("value", ["0.001", "lr=1e-3", "spike_guard", 3, 0.5, True, "a+b", "x,y"])
def test_an_ordinary_value_is_its_own_name(value):
    assert folder_name(value) == str(value)


@pytest.mark.parametrize(
    "value", ["/../../escaped", "..", ".", "", "a/", "x" * 300, "a\0b", "täglich", "a\\b", "a:b", ".hidden"]
)
def test_any_other_value_gets_a_name_that_can_be_made_and_stays_inside(tmp_path, value):
    name = folder_name(value)
    (tmp_path / name).mkdir()
    assert os.listdir(tmp_path) == [name]
    assert is_plain_name(name)
    assert not name.startswith(".")


def test_values_that_look_alike_have_names_of_their_own():
    assert len({folder_name(value) for value in ("a", "a/", "a//", "/a", "a\0", "a_")}) == 6
    assert folder_name("x" * 300) != folder_name("x" * 301)


@given(st.text(st.characters(), max_size=120), st.text(st.characters(), max_size=120))
def test_different_texts_have_different_names(one, other):
    assert (folder_name(one) == folder_name(other)) == (one == other)
    assert len(folder_name(one).encode()) <= 80


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "a\0", "\ud800", None, 3, ["a"]])
def test_names_that_no_folder_entry_can_have_are_refused(name):
    assert not is_plain_name(name)


def test_a_name_that_is_not_utf_8_is_a_name():
    assert is_plain_name(os.fsdecode(b"a\xff"))
