"""The tokenizer that a GGUF file describes, with its text split as the vocabulary was learned."""

from pathlib import Path
from typing import Any

from trimtab.config.offline import offline_import
from trimtab.models.pretrained.files import ModelFiles, folder_to_load

DIGITS_FIRST = {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"}
"""Rules that split every digit off and then the rest as GPT-2 does (llama.cpp, src/llama-vocab.cpp)."""

AS_GPT2 = {"default", "gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling"}
"""Rules that split as GPT-2 does (the same file)."""


def gguf_tokenizer(path: Path) -> tuple[Any, str | None]:
    """A transformers tokenizer for a GGUF file, and a note if its way to split text could not be had.

    transformers (5.23) splits by GPT-2's rule where it does not know the file's, and it does not know the rules that split
    digits: "  42" and line ends before numbers would get other tokens than those that the model was trained on.
    """
    transformers = offline_import("transformers")
    from tokenizers import pre_tokenizers

    with folder_to_load(ModelFiles(path.parent, path.name, (path,), {})) as folder:
        made = transformers.AutoTokenizer.from_pretrained(
            str(folder), gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )
    backend = made.backend_tokenizer
    if not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        return made, None
    rule = splitting_rule(path)
    if rule in DIGITS_FIRST:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        return made, None
    if rule is None or rule in AS_GPT2:
        return made, None
    return (
        made,
        f"the file's rule to split text, '{rule}', is not known; text is split as for GPT-2, so tokens may differ",
    )


def splitting_rule(path: Path) -> str | None:
    """The name of the rule by which a GGUF file's tokenizer splits text; None where the file names none."""
    field = offline_import("gguf").GGUFReader(str(path)).fields.get("tokenizer.ggml.pre")
    return None if field is None else str(field.contents())
