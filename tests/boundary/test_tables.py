import pytest

from trimtab.boundary import line_fault, table_fault

WANTED = ("arm", "seed")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"Arm;Seed;val_loss\n",
            "its columns are separated by semicolons, but Trimtab expects commas. Save the table with commas",
        ),
        (b"arm:seed:val_loss\n", "separated by colons"),
        (b"arm seed val_loss\n", "separated by spaces"),
        (b"arm   seed  val_loss\n", "separated by spaces"),
        (b"ARM\tSEED\tx\n", "separated by tabs"),
        (b"arm|seed|x\n", "separated by vertical bars"),
        (b'"arm";"seed";"x"\n', "separated by semicolons"),
        (b"arm;seed;loss,best\n", "separated by semicolons"),
        (b"name;run;x\n", "separated by semicolons"),
        (b"\xef\xbb\xbf\n\narm;seed;x\n", "separated by semicolons"),
        (b"sep=;\narm;seed;x\n", "its first line, sep=;, is a note for Excel"),
        (b'"sep=,"\r\narm,seed,x\n', 'its first line, "sep=,", is a note for Excel'),
        (b"SEP=\t\narm\tseed\tx\n", "is a note for Excel"),
        ("arm,seed,x\n".encode("utf-16"), "it is in UTF-16 (its first bytes are ff fe), and a table is in UTF-8"),
        (b"\xfe\xff" + "arm,seed\n".encode("utf-16-be"), "it is in UTF-16 (its first bytes are fe ff)"),
        ("arm,seed,x\n".encode("utf-16-le"), "it is in UTF-16 (every other byte of it is 0)"),
        ("arm,seed,x\n".encode("utf-16-be"), "it is in UTF-16 (every other byte of it is 0)"),
        ("arm,seed,x\n".encode("utf-32"), "it is in UTF-32 (its first bytes are ff fe 00 00)"),
    ],
)
def test_another_separator_or_encoding_is_named(content: bytes, words: str) -> None:
    fault = table_fault(content, ",", WANTED)
    assert fault is not None
    assert words in fault
    assert "\n" not in fault


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"arm,seed,x\n",
        b"\xef\xbb\xbfArm, Seed ,the loss; of all\r\n",
        b",,\narm,seed\n",
        b"name\n",
        b'"a cell\nthat goes on",seed\n',
        "ärm,seed\n".encode("latin-1"),
    ],
)
def test_a_table_without_a_wrong_separator_has_no_fault(content: bytes) -> None:
    assert table_fault(content, ",", WANTED) is None


def test_the_separator_may_be_another() -> None:
    assert table_fault(b"arm\tseed\n", "\t", WANTED) is None
    assert "separated by commas, but Trimtab expects tabs" in str(table_fault(b"arm,seed\n", "\t", WANTED))
    assert "separated by commas, but Trimtab expects the character '~'" in str(table_fault(b"arm,seed\n", "~", WANTED))


def test_a_line_by_another_separator_is_named() -> None:
    assert line_fault(["a;0;1"], 3, ",") == " They are separated by semicolons, but Trimtab expects commas."
    assert line_fault(["a;0;3", "5"], 3, ",") == " They are separated by semicolons, but Trimtab expects commas."
    assert line_fault(["a 0 1"], 3, ",") == " They are separated by spaces, but Trimtab expects commas."
    assert line_fault(["a", "0"], 3, ",") == ""
    assert line_fault(["my best arm", "0"], 3, ",") == ""
    assert line_fault(["a;b", "0", "1"], 2, ",") == ""
