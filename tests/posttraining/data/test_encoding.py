"""Templates, labels, ends and lengths of encoded conversations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimtab.data import IGNORE, CharacterTokenizer, PretrainedTokenizer, Tokenizer
from trimtab.errors import ConfigError, DataError
from trimtab.posttraining.data.encoding import Encoded, Encoder
from trimtab.posttraining.data.formats import Chat, Message
from trimtab.posttraining.data.templates import ModelTemplate, PlainTemplate, Refused, TrainOn, template_for

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MARKED = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content + eos_token }}"
    "{% endgeneration %}{% else %}{{ '[' + m.content + ']' }}{% endif %}{% endfor %}"
)
NO_END = "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
THINKS = CHATML.replace("<|im_start|>assistant\\n' }}{% endif", "<|im_start|>assistant\\n<think>' }}{% endif")
FORGETS = (
    "{% for m in messages %}{{ '[' + m.role + ']' + (m.content if loop.last or m.role != 'assistant' else 'x') + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
QUESTION: Message = {"role": "user", "content": "two"}
CHAT: tuple[Message, ...] = (
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "uno"},
    QUESTION,
    {"role": "assistant", "content": "dos"},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of bytes with special tokens; 0 is padding and ends answers, as in models whose pad token is the end."""
    import tokenizers

    special = ["<|im_end|>", "<|im_start|>", "<s>"]
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*special, *alphabet])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(special)
    path = tmp_path_factory.mktemp("tokenizer")
    made.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "<|im_end|>", "bos_token": "<s>", "chat_template": CHATML})
    )
    return path


def tokenizer(folder: Path) -> PretrainedTokenizer:
    return PretrainedTokenizer(path=str(folder))


def encoder(made: Tokenizer, tmp_path: Path, template: str | None = None, **options: Any) -> Encoder:
    """An encoder with a template in a file; by default that of the tokenizer."""
    file = None
    if template is not None:
        file = str(tmp_path / "template.jinja")
        Path(file).write_text(template)
    settings = {"context": 200, "train_on": "last", "too_long": "drop", **options}
    return Encoder(made, template_for("auto", file, made), **settings)


def encoded(made: Encoder, chat: tuple[Message, ...] = CHAT) -> Encoded | Refused:
    (row,) = made.encode([Chat("here", chat)])
    return row


def texts(made: Tokenizer, row: Encoded | Refused) -> tuple[str, str]:
    """The whole text, and the text of the labels."""
    assert isinstance(row, Encoded)
    assert np.array_equal(row.labels[row.labels != IGNORE], row.ids[row.labels != IGNORE])
    return made.decode(row.ids), made.decode(row.labels[row.labels != IGNORE])


LAST, ALL = "dos<|im_end|>", "uno<|im_end|>dos<|im_end|>"


@pytest.mark.parametrize(
    ("template", "train_on", "labels"),
    [
        (None, "last", LAST),
        (None, "all", ALL),
        (MARKED, "last", LAST),
        (MARKED, "all", ALL),
        (NO_END, "last", LAST),
        (FORGETS, "last", LAST),
    ],
)
def test_labels_are_the_answers_and_one_end_token_each(
    template: str | None, train_on: TrainOn, labels: str, folder: Path, tmp_path: Path
) -> None:
    made = tokenizer(folder)
    whole, labelled = texts(made, encoded(encoder(made, tmp_path, template, train_on=train_on)))
    assert labelled == labels
    assert whole.count("<s>") == (1 if template == MARKED else 0)


def test_the_prompt_is_exactly_what_generation_begins_with(folder: Path, tmp_path: Path) -> None:
    made = tokenizer(folder)
    for one in (encoder(made, tmp_path), encoder(CharacterTokenizer(), tmp_path)):
        row = encoded(one)
        assert isinstance(row, Encoded)
        (prompt,) = one.template.prompts([CHAT[:-1]])
        first = int(np.flatnonzero(row.labels != IGNORE)[0])
        assert np.array_equal(row.ids[:first], one.tokenizer.encode(prompt))


@pytest.mark.parametrize(
    ("template", "train_on", "words"),
    [
        (THINKS, "last", "opens an answer differently from how it writes one"),
        (FORGETS, "all", "set data.train_on to last"),
        ("{{ raise_exception('only one question') }}", "last", "refuses it: only one question"),
        (
            "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% endif %}{% endfor %}",
            "last",
            "leaves out",
        ),
    ],
)
def test_a_template_whose_labels_would_be_ambiguous_is_refused(
    template: str, train_on: TrainOn, words: str, folder: Path, tmp_path: Path
) -> None:
    row = encoded(encoder(tokenizer(folder), tmp_path, template, train_on=train_on))
    assert isinstance(row, Refused)
    assert words in row.reason


def test_plain_roles_with_characters_and_with_the_end_token_of_a_model(folder: Path, tmp_path: Path) -> None:
    characters = CharacterTokenizer()
    row = encoded(encoder(characters, tmp_path, train_on="all"))
    assert texts(characters, row) == ("User: one\nAssistant: uno\nUser: two\nAssistant: dos\n", "uno\ndos\n")
    made = tokenizer(folder)
    for train_on, labels in (("all", ALL), ("last", LAST)):
        plain = Encoder(made, template_for("plain", None, made), 200, train_on, "drop")
        whole, labelled = texts(made, encoded(plain))
        assert whole == "User: one\nAssistant: uno<|im_end|>\nUser: two\nAssistant: dos<|im_end|>"
        assert labelled == labels


def test_a_plain_text_begins_with_one_start_token_where_the_tokenizer_adds_it(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    config = {"eos_token": "<|im_end|>", "bos_token": "<s>", "add_bos_token": True}
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    made = tokenizer(copy)
    whole, _ = texts(made, encoded(encoder(made, tmp_path)))
    assert whole.startswith("<s>User: one")
    assert whole.count("<s>") == 1


def test_an_answer_with_the_end_token_is_refused(folder: Path, tmp_path: Path) -> None:
    for made, text in ((tokenizer(folder), "a<|im_end|>b"), (CharacterTokenizer(), "a\nb")):
        row = encoded(encoder(made, tmp_path), (QUESTION, {"role": "assistant", "content": text}))
        assert row == Refused("an answer contains the token that ends answers")


def test_a_long_conversation_is_dropped_or_cut_but_never_without_labels(tmp_path: Path) -> None:
    made = CharacterTokenizer()
    whole = encoded(encoder(made, tmp_path))
    assert isinstance(whole, Encoded)
    length, answer = len(whole.ids), whole.answer_tokens
    assert isinstance(encoded(encoder(made, tmp_path, context=length)), Encoded)
    assert isinstance(encoded(encoder(made, tmp_path, context=length - 1)), Refused)
    cut = encoded(encoder(made, tmp_path, context=length - 1, too_long="cut"))
    assert isinstance(cut, Encoded)
    assert (cut.was_cut, cut.answer_tokens) == (True, answer - 1)
    nothing = encoded(encoder(made, tmp_path, context=length - answer, too_long="cut"))
    assert isinstance(nothing, Refused)
    assert "no label remains once its end is cut off" in nothing.reason


def test_what_a_template_needs_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^data\.template is model, but the tokenizer character is not in the folder"
    ):
        template_for("model", None, CharacterTokenizer())
    with pytest.raises(ConfigError, match=r"^data\.template is plain, and data\.template_file names a chat template"):
        template_for("plain", str(tmp_path / "x"), CharacterTokenizer())
    with pytest.raises(DataError, match=r"^data\.template_file: \S+ cannot be read"):
        template_for("auto", str(tmp_path / "x"), CharacterTokenizer())
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% for %}")
    row = encoded(Encoder(tokenizer(folder), template_for("auto", str(broken), tokenizer(folder)), 9, "last", "drop"))
    assert isinstance(row, Refused)
    assert "TemplateSyntaxError" in row.reason


def test_a_template_is_identified_by_all_that_it_makes(folder: Path) -> None:
    model, plain = (template_for(name, None, tokenizer(folder)) for name in ("model", "plain"))
    assert isinstance(model, ModelTemplate)
    assert isinstance(plain, PlainTemplate)
    assert len({model.identity, plain.identity, PlainTemplate().identity, PlainTemplate("<s>").identity}) == 4
