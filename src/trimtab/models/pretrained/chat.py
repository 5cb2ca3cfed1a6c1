"""Questions in the form that an instruction-tuned model was trained on."""

from collections.abc import Sequence
from pathlib import Path

from trimtab.config.offline import offline_import
from trimtab.errors import DataError


def chat_prompt(folder: str | Path, messages: Sequence[dict[str, str]]) -> str:
    """The text that asks for the next answer of a chat, by the chat template in a model's folder.

    `messages` are `{"role": "system" | "user" | "assistant", "content": text}`. The template runs in the sandbox of the
    transformers library. Raises DataError when the folder has no usable template or it refuses the messages.
    """
    transformers = offline_import("transformers")
    import jinja2

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        prompt: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except (OSError, ValueError, KeyError, jinja2.TemplateError) as error:
        raise DataError(
            f"The model in {folder} has no chat template that can be used here: {error}. Ask it with plain text instead."
        ) from error
    return prompt
