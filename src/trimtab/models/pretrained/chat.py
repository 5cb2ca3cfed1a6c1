"""Chat prompts in the format that an instruction-tuned model was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import foreign, is_unicode, run_limited
from trimtab.config.model_folder import read_mapping, read_member
from trimtab.errors import DataError
from trimtab.models.pretrained.chat_template import render

SECONDS, MEMORY, LONGEST = 5, 512 << 20, 4 << 20
"""Limits on rendering one prompt: processor seconds, bytes of memory, bytes of text."""

_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def chat_prompt(folder: str | Path, messages: Sequence[dict[str, str]]) -> str:
    """The prompt for the next answer of a chat, from the chat template in a model's folder.

    `messages` are `{"role": "system" | "user" | "assistant", "content": text}`. The template is that of
    `chat_template.jinja`, else the default one of `tokenizer_config.json`; it gets the special tokens that the folder's
    files name. It runs in jinja2's sandbox, in a separate process with the limits above. Raises DataError if the folder has no
    template, or if the template refuses the messages, exceeds a limit or gives no text.
    """
    folder = Path(folder)
    config = read_mapping(folder, "tokenizer_config.json") or {}
    template = _template(folder, config)

    def message(reason: str) -> str:
        return f"The chat template of the model in {folder} cannot be used: {reason}. Use plain text instead."

    variables = {
        **_special_tokens(folder, config),
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
    }
    with foreign(DataError, message):
        prompt: str = run_limited(render, template, variables, seconds=SECONDS, memory=MEMORY, output=LONGEST)
    if not prompt or not is_unicode(prompt):
        raise DataError(message("its output is not valid Unicode" if prompt else "its output is empty"))
    return prompt


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
