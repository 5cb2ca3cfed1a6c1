"""Questions in the form that an instruction-tuned model was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.boundary import foreign, is_unicode, run_limited
from trimtab.config.model_folder import read_mapping, read_member
from trimtab.errors import DataError
from trimtab.models.pretrained.chat_template import rendered

SECONDS, MEMORY, LONGEST = 5, 512 << 20, 4 << 20
"""What rendering one prompt may take: processor time, bytes of memory, bytes of text."""

_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def chat_prompt(folder: str | Path, messages: Sequence[dict[str, str]]) -> str:
    """The text that asks for the next answer of a chat, by the chat template in a model's folder.

    `messages` are `{"role": "system" | "user" | "assistant", "content": text}`. The template is that of
    `chat_template.jinja`, else the default one of `tokenizer_config.json`; it knows the special tokens that the folder's
    files name. It runs in jinja2's sandbox, in a process of its own with the limits above. Raises DataError when the folder
    has no template, or it refuses the messages, exceeds a limit or gives no text.
    """
    folder = Path(folder)
    config = read_mapping(folder, "tokenizer_config.json") or {}
    template = _template(folder, config)

    def worded(reason: str) -> str:
        return f"The chat template of the model in {folder} cannot be used: {reason}. Ask it with plain text instead."

    variables = {
        **_special_tokens(folder, config),
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
    }
    with foreign(DataError, worded):
        prompt: str = run_limited(rendered, template, variables, seconds=SECONDS, memory=MEMORY, output=LONGEST)
    if not prompt or not is_unicode(prompt):
        raise DataError(worded("it gives characters that no text has" if prompt else "it gives no text"))
    return prompt


def _template(folder: Path, config: dict[str, Any]) -> str:
    if (content := read_member(folder, "chat_template.jinja")) is not None:
        with foreign(
            DataError,
            lambda reason: f"{folder / 'chat_template.jinja'} is not text in UTF-8: {reason}. Copy the file anew.",
        ):
            return content.decode()
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if not isinstance(template, str):
        raise DataError(
            f"The model in {folder} has no chat template: there is no chat_template.jinja, and its tokenizer_config.json names "
            "none. Ask it with plain text instead."
        )
    return template


def _special_tokens(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The special tokens by their names, as transformers gives them to a template."""
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
