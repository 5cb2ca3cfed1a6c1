"""Chat prompts in the format that an instruction-tuned model was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import foreign, is_unicode, run_limited
from trimtab.config.model_folder import read_mapping, read_member
from trimtab.errors import DataError
from trimtab.models.pretrained.chat_template import render, render_each

SECONDS, MEMORY, LONGEST = 5, 512 << 20, 4 << 20
"""Limits on rendering one prompt: processor seconds, bytes of memory, bytes of text."""

_AT_ONCE = 256
"""The most chats that one process renders; its limits are those of one prompt, with more time and output."""

_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def chat_prompt(folder: str | Path, messages: Sequence[dict[str, str]]) -> str:
    """The prompt for the next answer of a chat, from the chat template in a model's folder.

    `messages` are `{"role": "system" | "user" | "assistant", "content": text}`. The template is that of
    `chat_template.jinja`, else the default one of `tokenizer_config.json`; it gets the special tokens that the folder's
    files name. It runs in jinja2's sandbox, in a separate process with the limits above. Raises DataError if the folder has no
    template, or if the template refuses the messages, exceeds a limit or gives no text.
    """
    template = chat_template(folder)
    variables = {**template.variables, "messages": list(messages), "add_generation_prompt": True}
    with foreign(DataError, template.unusable):
        prompt: str = run_limited(render, template.text, variables, seconds=SECONDS, memory=MEMORY, output=LONGEST)
    if not prompt or not is_unicode(prompt):
        reason = "its output is not valid Unicode" if prompt else "its output is empty"
        raise DataError(template.unusable(reason))
    return prompt


@dataclass(frozen=True)
class Rendering:
    """What a template makes of a chat: a text, or the reason why it makes none."""

    text: str | None
    refusal: str | None


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template: its text, the special tokens that it receives, and where it comes from."""

    text: str
    tokens: Mapping[str, str]
    source: str

    @property
    def variables(self) -> dict[str, Any]:
        """What the template receives besides the messages."""
        return {**self.tokens, "tools": None, "documents": None}

    def unusable(self, reason: str) -> str:
        """The message of an error about the template as a whole."""
        return f"The chat template of {self.source} cannot be used: {reason}. Use plain text instead."

    def render(self, chats: Sequence[tuple[Sequence[Mapping[str, str]], bool]]) -> list[Rendering]:
        """Each chat as text; the second part of a chat says whether the opening of the next answer is added.

        Raises `DataError` if the template exceeds a limit.
        """
        results: list[Rendering] = []
        for start in range(0, len(chats), _AT_ONCE):
            each = [
                {"messages": [dict(message) for message in messages], "add_generation_prompt": opened}
                for messages, opened in chats[start : start + _AT_ONCE]
            ]
            with foreign(DataError, self.unusable):
                texts = run_limited(
                    render_each, self.text, self.variables, each, seconds=30, memory=1 << 30, output=64 << 20
                )
            results += [
                Rendering(None, refusal or "its output is not valid Unicode")
                if text is None or not is_unicode(text)
                else Rendering(text, None)
                for text, refusal in texts
            ]
        return results


def chat_template(folder: str | Path) -> ChatTemplate:
    """The chat template in a model's folder, with its special tokens. Raises `DataError` if it has none."""
    folder = Path(folder)
    config = read_mapping(folder, "tokenizer_config.json") or {}
    return ChatTemplate(_template(folder, config), _special_tokens(folder, config), f"the model in {folder}")


def special_tokens(folder: str | Path) -> dict[str, str]:
    """The special tokens that a model's folder names, such as `bos_token`."""
    return _special_tokens(Path(folder), read_mapping(Path(folder), "tokenizer_config.json") or {})


def has_chat_template(folder: str | Path) -> bool:
    """Whether a model's folder has a chat template."""
    folder = Path(folder)
    config = read_mapping(folder, "tokenizer_config.json") or {}
    return read_member(folder, "chat_template.jinja") is not None or bool(config.get("chat_template"))


def _template(folder: Path, config: dict[str, Any]) -> str:
    if (content := read_member(folder, "chat_template.jinja")) is not None:
        with foreign(
            DataError,
            lambda reason: f"{folder / 'chat_template.jinja'} is not text in UTF-8: {reason}. Copy the file again.",
        ):
            return content.decode()
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if not isinstance(template, str):
        raise DataError(
            f"The model in {folder} has no chat template: there is no chat_template.jinja, and none in its "
            "tokenizer_config.json. Use plain text instead."
        )
    return template


def _special_tokens(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The special tokens by name, as transformers passes them to a template."""
    legacy = {} if "added_tokens_decoder" in config else read_mapping(folder, "special_tokens_map.json") or {}
    named = {**config, **legacy}
    further = named.get("extra_special_tokens")
    if isinstance(further, dict):
        named.update(further)
    texts = {
        key: value.get("content") if isinstance(value, dict) else value
        for key, value in named.items()
        if key in _TOKENS or key.endswith("_token") or (isinstance(further, dict) and key in further)
    }
    return {key: text for key, text in texts.items() if isinstance(text, str)}
