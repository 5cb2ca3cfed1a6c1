"""The tokenizer of a pretrained model's folder."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.model_paths import AllowHub, check_hub, expanded_path
from trimtab.config.offline import local_folder
from trimtab.config.schema import FILE_PATH
from trimtab.data.pieces import Cuts
from trimtab.data.tokenizers import FileTokenizer
from trimtab.errors import DataError


class PretrainedTokenizer(FileTokenizer):
    """The tokenizer of a pretrained model: the `tokenizer.json` of its folder, and the token that ends an answer.

    That token is the `eos_token` of `tokenizer_config.json`, else the first `eos_token_id` of `generation_config.json` or
    `config.json`. Raises DataError for a folder without a usable tokenizer.
    """

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(
                min_length=1,
                description="The model's folder, or the name of an imported model (`trimtab models list`).",
                json_schema_extra=FILE_PATH,
            ),
        ],
        special: Annotated[
            bool,
            Field(
                description="Whether a special token's name in a text (such as <|im_end|>) becomes that token; otherwise it is "
                "spelt like any text."
            ),
        ] = True,
        allow_hub: AllowHub = False,
    ) -> None:
        check_hub({"path": path, "allow_hub": allow_hub})
        folder = local_folder(path)
        if folder.is_file() and folder.suffix == ".gguf":
            raise DataError(
                f"{folder} is a GGUF file; its tokenizer is read once, when it is imported: trimtab models import {folder} "
                "--out DIR. Then name DIR."
            )
        if not (folder / "tokenizer.json").is_file():
            raise _without_tokenizer(folder)
        self._special = special
        super().__init__(path=str(folder / "tokenizer.json"))
        self.name = folder.name
        self.end = self._end(folder)
        if not special:
            self.fingerprint = hashlib.sha256(f"{self.fingerprint} special tokens spelt".encode()).hexdigest()

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """`parameters` with an imported model's name replaced by its folder."""
        return expanded_path(parameters)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse a hub id that is not allowed.

        Raises:
            ValueError: one sentence that names the key.
        """
        check_hub(parameters)

    def _probe(self) -> Cuts:
        self._tokenizer.encode_special_tokens = not self._special
        return super()._probe()

    def _end(self, folder: Path) -> int | None:
        named = _json(folder / "tokenizer_config.json").get("eos_token")
        text = named.get("content") if isinstance(named, dict) else named
        if text is not None:
            if (known := self._tokenizer.token_to_id(text)) is None:
                raise DataError(
                    f"{folder / 'tokenizer_config.json'}: the eos_token {text!r} is not in the vocabulary of "
                    f"{self.path}. Mend one of the two files."
                )
            return known
        for file in ("generation_config.json", "config.json"):
            number = _json(folder / file).get("eos_token_id")
            if number is not None:
                return int(number[0] if isinstance(number, list) else number)
        return None


def _json(path: Path) -> dict[str, Any]:
    """A JSON file's mapping; empty where there is no such file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}. Copy the model's folder anew.") from error
    return content if isinstance(content, dict) else {}


def _without_tokenizer(folder: Path) -> DataError:
    if not folder.exists():
        return DataError(
            f"There is no model in {folder}. `trimtab models list` shows the imported ones; `trimtab models import "
            "smollm2-135m` makes one."
        )
    return DataError(
        f"The folder {folder} holds no tokenizer.json. Write one where you trust the model's files: python -c \"from "
        f"transformers import AutoTokenizer as T; T.from_pretrained('{folder}').save_pretrained('{folder}')\"."
    )
