"""Conversations as text: the chat template of a model, or plain roles for a tokenizer without one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from trimtab.boundary import foreign, read_regular, user_path
from trimtab.config.canonical import canonical_json
from trimtab.config.model_folder import read_mapping
from trimtab.config.schema import FILE_PATH
from trimtab.data import PretrainedTokenizer, Tokenizer
from trimtab.errors import ConfigError, DataError
from trimtab.models.pretrained.chat import ChatTemplate, chat_template, has_chat_template, special_tokens
from trimtab.posttraining.data.formats import Message

TrainOn = Annotated[
    Literal["last", "all"],
    Field(description="which answers of a conversation have labels: the last one, or all of them"),
]
TemplateName = Annotated[
    Literal["auto", "model", "plain"],
    Field(
        description="how a conversation becomes text. model: the chat template in the folder of the tokenizer; plain: a line "
        "per message that begins with `User: ` or `Assistant: `; auto: the model's if it has one, otherwise plain"
    ),
]
TemplateFile = Annotated[
    str | None,
    Field(
        description="a file with a chat template (Jinja), used instead of the model's; the special tokens are the model's",
        json_schema_extra=FILE_PATH,
    ),
]


@dataclass(frozen=True)
class Segment:
    """A part of a conversation's text. An answer begins where its first label is; `content` is the message within it."""

    text: str
    content: str | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the part is an answer, which has labels up to its end token."""
        return self.content is not None


@dataclass(frozen=True)
class Refused:
    """Why a conversation cannot become text with labels."""

    reason: str


class Template(Protocol):
    """Makes text of conversations. Templates with equal `identity` make the same text."""

    @property
    def identity(self) -> str:
        """A text that determines what the template makes."""
        ...

    def segments(self, chats: Sequence[Sequence[Message]], train_on: TrainOn) -> list[tuple[Segment, ...] | Refused]:
        """The parts of each conversation, in order; a conversation ends with an answer."""
        ...

    def prompts(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        """The text after which the next answer begins. Raises `DataError` for messages that the template refuses."""
        ...


@dataclass(frozen=True)
class PlainTemplate:
    """A line per message: the system text as it is, then `User: …` and `Assistant: …`, where the end token closes an answer.

    `start` is the text of the token that a pretrained tokenizer puts before every text, if it does so; `end` that of the
    tokenizer's end token, empty where a newline ends an answer.
    """

    start: str = ""
    end: str = ""

    @property
    def identity(self) -> str:
        """The version of the format, and what it adds."""
        return canonical_json({"plain": 1, "start": self.start, "end": self.end})

    def segments(self, chats: Sequence[Sequence[Message]], train_on: TrainOn) -> list[tuple[Segment, ...] | Refused]:
        """The parts of each conversation; none is refused."""
        return [tuple(self._parts(chat, train_on)) for chat in chats]

    def prompts(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        """The text after which the next answer begins."""
        return [self._prompt(chat) for chat in chats]

    def _parts(self, chat: Sequence[Message], train_on: TrainOn) -> list[Segment]:
        if train_on == "last":
            return [Segment(self._prompt(chat[:-1])), Segment(chat[-1]["content"], chat[-1]["content"])]
        parts: list[Segment] = []
        text = self.start
        for message in chat:
            if message["role"] != "assistant":
                text += self._line(message)
                continue
            parts += [Segment(text + "Assistant: "), Segment(message["content"], message["content"])]
            text = "\n" if self.end else ""
        return parts

    def _prompt(self, chat: Sequence[Message]) -> str:
        return self.start + "".join(map(self._line, chat)) + "Assistant: "

    def _line(self, message: Message) -> str:
        before = {"system": "", "user": "User: ", "assistant": "Assistant: "}[message["role"]]
        return f"{before}{message['content']}{self.end if message['role'] == 'assistant' else ''}\n"


@dataclass(frozen=True)
class ModelTemplate:
    """A Jinja chat template. Where answers begin and end is found by comparing the text of growing parts of a conversation.

    The text up to an answer, with the opening of the answer, must be the beginning of the text with the answer: what follows is
    the answer. With `all`, the text with an answer must be the beginning of the text with the next question. A conversation for
    which this does not hold, as where a template removes earlier thoughts, is refused, because its labels would be ambiguous.
    """

    template: ChatTemplate

    @property
    def identity(self) -> str:
        """The template's text and its tokens."""
        return canonical_json({"model": 1, "text": self.template.text, "tokens": dict(self.template.tokens)})

    def prompts(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        """The text after which the next answer begins."""
        texts = []
        for rendering in self.template.render([(chat, True) for chat in chats]):
            if not rendering.text:
                raise DataError(self.template.unusable(rendering.refusal or "its output is empty"))
            texts.append(rendering.text)
        return texts

    def segments(self, chats: Sequence[Sequence[Message]], train_on: TrainOn) -> list[tuple[Segment, ...] | Refused]:
        """The parts of each conversation, or why it is refused."""
        answers = [
            [place for place, message in enumerate(chat) if message["role"] == "assistant"][
                -1 if train_on == "last" else 0 :
            ]
            for chat in chats
        ]
        requests = [
            (chat[: place + with_answer], not with_answer)
            for chat, places in zip(chats, answers, strict=True)
            for place in places
            for with_answer in (0, 1)
        ]
        renderings = iter(self.template.render(requests))
        results: list[tuple[Segment, ...] | Refused] = []
        for chat, places in zip(chats, answers, strict=True):
            pairs = [(place, next(renderings), next(renderings)) for place in places]
            refusals = [one.refusal for _, *both in pairs for one in both if one.refusal is not None]
            if refusals:
                results.append(Refused(f"the chat template refuses it: {refusals[0]}"))
                continue
            texts = [(chat[place]["content"], str(before.text), str(whole.text)) for place, before, whole in pairs]
            results.append(_segments(texts))
        return results


def _segments(texts: Sequence[tuple[str, str, str]]) -> tuple[Segment, ...] | Refused:
    """The parts of a conversation from, for each answer, its content and the texts before and with it."""
    parts: list[Segment] = []
    known = ""
    for content, before, whole in texts:
        if not before.startswith(known):
            return Refused(
                "the chat template writes earlier messages differently once others follow, so the labels of earlier answers are "
                "ambiguous; set data.train_on to last"
            )
        if not whole.startswith(before):
            return Refused(
                "the chat template opens an answer differently from how it writes one, so where the answer begins is ambiguous; "
                "use another template (data.template or data.template_file)"
            )
        if len(whole) == len(before):
            return Refused("the chat template leaves out the answer")
        parts += [Segment(before[len(known) :]), Segment(whole[len(before) :], content)]
        known = whole
    return tuple(parts)


def template_for(name: TemplateName, file: str | None, tokenizer: Tokenizer) -> Template:
    """The template that a data component's parameters name.

    Raises `ConfigError` for `model` with a tokenizer that is not in a model's folder, and `DataError` for a folder or file
    without a usable template.
    """
    folder = Path(tokenizer.path).parent if isinstance(tokenizer, PretrainedTokenizer) else None
    tokens = {} if folder is None else special_tokens(folder)
    if file is not None:
        if name == "plain":
            raise ConfigError(
                "data.template is plain, and data.template_file names a chat template. Leave out one of them."
            )
        path = user_path(file, "data.template_file")
        try:
            content = read_regular(path, at_most=1 << 20)
        except OSError as error:
            raise DataError(
                f"data.template_file: {path} cannot be read ({error.strerror}). Name a file with a chat template."
            ) from error
        with foreign(DataError, lambda reason: f"{path} is not text in UTF-8: {reason}. Name another file."):
            text = content.decode()
        return ModelTemplate(ChatTemplate(text, tokens, f"the file {path}"))
    if folder is None:
        if name == "model":
            raise ConfigError(
                f"data.template is model, but the tokenizer {tokenizer.name} is not in the folder of a model. Use "
                "data.tokenizer={name: pretrained, path: ...}, or data.template=plain."
            )
        return _plain(tokenizer, "")
    if name == "model" or (name == "auto" and has_chat_template(folder)):
        return ModelTemplate(chat_template(folder))
    return _plain(tokenizer, tokens.get("bos_token", "") if _adds_start(folder) else "")


def _plain(tokenizer: Tokenizer, start: str) -> PlainTemplate:
    return PlainTemplate(start, "" if tokenizer.end is None else tokenizer.decode([tokenizer.end]))


def _adds_start(folder: Path) -> bool:
    return (read_mapping(folder, "tokenizer_config.json") or {}).get("add_bos_token") is True
