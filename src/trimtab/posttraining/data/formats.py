"""The formats in which people keep chats and preference pairs, and their conversion to messages."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.boundary import json_type_name
from trimtab.data.tasks.files import BadRowError, checked_text

Message = Mapping[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \t]?")


@dataclass(frozen=True)
class Chat:
    """A conversation that ends with an answer; `desirable` is the label of unpaired feedback, if the row has one."""

    where: str
    messages: tuple[Message, ...]
    desirable: bool | None = None

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages before the last answer."""
        return self.messages[:-1]


@dataclass(frozen=True)
class Pair:
    """A prompt with a chosen and a rejected answer."""

    where: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str

    def chats(self) -> tuple[Chat, Chat]:
        """The conversation with the chosen answer, and that with the rejected one."""
        chosen, rejected = (
            Chat(self.where, (*self.prompt, {"role": "assistant", "content": answer}))
            for answer in (self.chosen, self.rejected)
        )
        return chosen, rejected


def chat_format(row: Mapping[str, Any]) -> str:
    """The name of a chat row's format, found from its keys. Raises `BadRowError` for keys of no known format."""
    return _format(row, _CHAT_KEYS, "a chat")


def pair_format(row: Mapping[str, Any]) -> str:
    """The name of a preference row's format, found from its keys. Raises `BadRowError` for keys of no known format."""
    return _format(row, _PAIR_KEYS, "a preference pair")


def read_chat(row: Mapping[str, Any], name: str, where: str) -> Chat:
    """A row of the chat format `name` as a conversation. Raises `BadRowError` for a row that is none."""
    messages = _CHAT_READERS[name](row)
    _check_order(messages)
    if messages[-1]["role"] != "assistant":
        raise BadRowError("it does not end with an answer of the assistant")
    label = row.get("label") if name == "prompt/completion" else None
    if label is not None and not isinstance(label, bool):
        raise BadRowError(f"'label' is {json_type_name(label)} where true or false is needed")
    return Chat(where, tuple(messages), label)


def read_pair(row: Mapping[str, Any], name: str, where: str) -> Pair:
    """A row of the preference format `name`. Raises `BadRowError` for a row that is none, and for identical answers."""
    prompt, chosen, rejected = _PAIR_READERS[name](row)
    _check_order(prompt)
    if prompt[-1]["role"] == "assistant":
        raise BadRowError("its prompt ends with an answer of the assistant, so there is nothing to answer")
    if chosen == rejected:
        raise BadRowError("its chosen and rejected answers are identical")
    return Pair(where, tuple(prompt), chosen, rejected)


def _format(row: Mapping[str, Any], known: Mapping[str, tuple[str, ...]], what: str) -> str:
    for name, keys in known.items():
        if all(row.get(key) is not None for key in keys):
            return name
    found = ", ".join(repr(key) for key in list(row)[:8]) or "nothing"
    raise BadRowError(f"it has the keys {found}, which are not those of {what}: {'; '.join(known)}")


def _text(value: Any, name: str) -> str:
    """The text as it is written. Raises `BadRowError` if it is not text, empty or not valid Unicode."""
    checked_text(value, name)
    return str(value)


def _content(value: Any, name: str) -> str:
    """The text of a message, whose content may be a list of parts of which all are text."""
    if not isinstance(value, list):
        return _text(value, name)
    parts = [part for part in value if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(parts) != len(value):
        raise BadRowError(f"{name} has parts other than text, which a language model does not read")
    return _text("".join(str(part.get("text", "")) for part in parts), name)


def _messages(value: Any, name: str, role_key: str = "role", content_key: str = "content") -> list[Message]:
    if not isinstance(value, list) or not value:
        raise BadRowError(f"{name} is {json_type_name(value)} where a list of messages is needed")
    return [_message(item, f"{name}[{index}]", role_key, content_key) for index, item in enumerate(value)]


def _message(value: Any, name: str, role_key: str = "role", content_key: str = "content") -> Message:
    if not isinstance(value, Mapping):
        raise BadRowError(f"{name} is {json_type_name(value)} where a message is needed")
    role = value.get(role_key)
    if role not in _ROLES:
        raise BadRowError(f"{name} has the role {role!r}; known roles are {', '.join(_ROLES)}")
    return {"role": _ROLES[role], "content": _content(value.get(content_key), f"{name}.{content_key}")}


def _system(row: Mapping[str, Any]) -> list[Message]:
    system = row.get("system")
    return [{"role": "system", "content": _text(system, "'system'")}] if system else []


def _user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def _check_order(messages: Sequence[Message]) -> None:
    """Raise `BadRowError` unless the messages are an optional system message and then user and assistant in turn."""
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or any(role != ("user", "assistant")[place % 2] for place, role in enumerate(turns)):
        raise BadRowError(
            f"its messages have the roles {', '.join(roles) or 'of nobody'}; after an optional system message user and assistant "
            "must take turns, the user first"
        )


# --- chats --------------------------------------------------------------------------------------------------------------


def _openai(row: Mapping[str, Any]) -> list[Message]:
    return _messages(row["messages"], "'messages'")


def _sharegpt(row: Mapping[str, Any]) -> list[Message]:
    messages = _messages(row["conversations"], "'conversations'", "from", "value")
    return messages if messages[0]["role"] == "system" else [*_system(row), *messages]


def _instruction(row: Mapping[str, Any]) -> list[Message]:
    """The prompt of an Alpaca row: the system text, the history, and the instruction with its input."""
    history: list[Message] = []
    for index, turn in enumerate(row.get("history") or []):
        if not isinstance(turn, list) or len(turn) != 2:
            raise BadRowError(f"'history'[{index}] is not a question with its answer")
        question, answer = (_text(part, f"'history'[{index}]") for part in turn)
        history += [*_user(question), {"role": "assistant", "content": answer}]
    text = _text(row["instruction"], "'instruction'")
    if row.get("input"):
        text = f"{text}\n{_text(row['input'], repr('input'))}"
    return [*_system(row), *history, *_user(text)]


def _alpaca(row: Mapping[str, Any]) -> list[Message]:
    return [*_instruction(row), {"role": "assistant", "content": _text(row["output"], "'output'")}]


def _prompt(row: Mapping[str, Any]) -> list[Message]:
    """The prompt under `prompt`: text, or messages."""
    if isinstance(row["prompt"], list):
        return _messages(row["prompt"], "'prompt'")
    return [*_system(row), *_user(_text(row["prompt"], "'prompt'"))]


def _answer(value: Any, name: str) -> str:
    """One answer: text, a message, or a list of one message."""
    if isinstance(value, list):
        if len(value) != 1:
            raise BadRowError(f"{name} has {len(value)} messages where one answer is needed")
        value = value[0]
    if isinstance(value, Mapping):
        message = _message(value, name, *(("from", "value") if "from" in value else ("role", "content")))
        if message["role"] != "assistant":
            raise BadRowError(
                f"{name} is a message of the {message['role']} where an answer of the assistant is needed"
            )
        return message["content"]
    return _text(value, name)


def _completion(row: Mapping[str, Any]) -> list[Message]:
    return [*_prompt(row), {"role": "assistant", "content": _answer(row["completion"], "'completion'")}]


# --- pairs --------------------------------------------------------------------------------------------------------------

_Answers = tuple[list[Message], str, str]


def _answers(row: Mapping[str, Any]) -> tuple[str, str]:
    return _answer(row["chosen"], "'chosen'"), _answer(row["rejected"], "'rejected'")


def _trl(row: Mapping[str, Any]) -> _Answers:
    return (_prompt(row), *_answers(row))


def _sharegpt_pair(row: Mapping[str, Any]) -> _Answers:
    return (_sharegpt(row), *_answers(row))


def _alpaca_pair(row: Mapping[str, Any]) -> _Answers:
    return (_instruction(row), *_answers(row))


def _transcripts(row: Mapping[str, Any]) -> _Answers:
    """Two whole conversations that differ in their last answer: HH-RLHF's text, or lists of messages."""
    chosen, rejected = (_transcript(row[key], f"'{key}'") for key in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise BadRowError(
            "its chosen and rejected conversations differ before their last messages, so they have no one prompt"
        )
    if any(messages[-1]["role"] != "assistant" for messages in (chosen, rejected)) or len(chosen) < 2:
        raise BadRowError(
            "its chosen and rejected conversations must have a prompt and end with an answer of the assistant"
        )
    return chosen[:-1], chosen[-1]["content"], rejected[-1]["content"]


def _transcript(value: Any, name: str) -> list[Message]:
    if isinstance(value, list):
        return _messages(value, name)
    text = _text(value, name)
    before, *parts = _TURN.split(text)
    if before.strip() or not parts:
        raise BadRowError(f"{name} is no transcript: it must begin with 'Human:'")
    turns = zip(parts[::2], parts[1::2], strict=True)
    return [{"role": _ROLES[role.lower()], "content": _text(words.strip(), name)} for role, words in turns]


_CHAT_KEYS = {
    "messages": ("messages",),
    "conversations": ("conversations",),
    "instruction/output": ("instruction", "output"),
    "prompt/completion": ("prompt", "completion"),
}
_CHAT_READERS: dict[str, Callable[[Mapping[str, Any]], list[Message]]] = {
    "messages": _openai,
    "conversations": _sharegpt,
    "instruction/output": _alpaca,
    "prompt/completion": _completion,
}
_PAIR_KEYS = {
    "conversations/chosen/rejected": ("conversations", "chosen", "rejected"),
    "instruction/chosen/rejected": ("instruction", "chosen", "rejected"),
    "prompt/chosen/rejected": ("prompt", "chosen", "rejected"),
    "chosen/rejected": ("chosen", "rejected"),
}
_PAIR_READERS: dict[str, Callable[[Mapping[str, Any]], _Answers]] = {
    "conversations/chosen/rejected": _sharegpt_pair,
    "instruction/chosen/rejected": _alpaca_pair,
    "prompt/chosen/rejected": _trl,
    "chosen/rejected": _transcripts,
}
