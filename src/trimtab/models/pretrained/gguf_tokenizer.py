"""The tokenizer of a GGUF file, with the rule for splitting text that its vocabulary was trained with."""

from pathlib import Path
from typing import Any

from trimtab.config.offline import offline_import
from trimtab.models.pretrained.files import ModelFiles, folder_to_load

DIGITS_FIRST = {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"}
"""Rules that split text into single digits and then as GPT-2 does (llama.cpp, src/llama-vocab.cpp)."""

AS_GPT2 = {"default", "gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling"}
"""Rules that split text as GPT-2 does (the same file)."""


def gguf_tokenizer(path: Path) -> tuple[Any, str | None]:
    """A transformers tokenizer for a GGUF file, and a note if the file's rule for splitting text is unknown.

    transformers (5.23) uses GPT-2's rule if it does not know the file's, and it does not know the rules that split digits: "  42"
    and line ends before numbers would get different tokens than in the model's training.
    """
    transformers = offline_import("transformers")
    from tokenizers import pre_tokenizers

    with folder_to_load(ModelFiles(path.parent, path.name, (path,), {})) as folder:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )
    backend = tokenizer.backend_tokenizer
    if not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        return tokenizer, None
    rule = splitting_rule(path)
    if rule in DIGITS_FIRST:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        return tokenizer, None
    if rule is None or rule in AS_GPT2:
        return tokenizer, None
    return (
        tokenizer,
        f"the file's rule for splitting text, '{rule}', is unknown; text is split as for GPT-2, so tokens may differ",
    )


def splitting_rule(path: Path) -> str | None:
    """The name of the rule for splitting text in a GGUF file; None if it names none."""
    field = offline_import("gguf").GGUFReader(str(path)).fields.get("tokenizer.ggml.pre")
    return None if field is None else str(field.contents())
