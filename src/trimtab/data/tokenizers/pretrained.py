"""The tokenizer in the folder of a pretrained model."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from trimtab.boundary import is_unicode, shortened
from trimtab.config.model_folder import member, read_mapping
from trimtab.config.model_paths import AllowHub, ModelPathComponent, check_hub
from trimtab.config.offline import local_folder
from trimtab.config.schema import FILE_PATH
from trimtab.data.pieces import Cuts
from trimtab.data.tokenizers.file import FileTokenizer
from trimtab.errors import DataError


class PretrainedTokenizer(ModelPathComponent, FileTokenizer):
    """The tokenizer of a pretrained model: the `tokenizer.json` in its folder, and the tokens that end an answer.

    `end`, which ends the answers in training, is the `eos_token` of `tokenizer_config.json`, otherwise the first `eos_token_id`
    of `generation_config.json` or `config.json`. `ends`, which stop generation, are that token and all ids of the first of the
    two files that has some. Raises DataError for a folder without a usable tokenizer, and for ids that are not in the vocabulary.
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
                description="Whether the name of a special token in a text (such as <|im_end|>) becomes that token; otherwise it "
                "is encoded like other text."
            ),
        ] = True,
        allow_hub: AllowHub = False,
    ) -> None:
        check_hub({"path": path, "allow_hub": allow_hub})
        folder = local_folder(path)
        if folder.is_file() and folder.suffix == ".gguf":
            raise DataError(
                f"{folder} is a GGUF file, whose tokenizer is read only on import. Run `trimtab models import {folder} --out "
                "DIR`, then set the path to DIR."
            )
        if member(folder, "tokenizer.json") is None:
            raise _without_tokenizer(folder)
        self._special = special
        super().__init__(path=str(folder / "tokenizer.json"))
        self.name = folder.name
        self.end, self.ends = self._end(folder)
        if not special:
            self.fingerprint = hashlib.sha256(f"{self.fingerprint} special tokens spelt".encode()).hexdigest()
        if self.ends:
            self.fingerprint = hashlib.sha256(f"{self.fingerprint} ends {self.ends}".encode()).hexdigest()

    def _probe(self) -> Cuts:
        self._tokenizer.encode_special_tokens = not self._special
        return super()._probe()

    def _end(self, folder: Path) -> tuple[int | None, tuple[int, ...]]:
        """The id that ends an answer, and the ids that stop generation, starting with that id."""
        end = (read_mapping(folder, "tokenizer_config.json") or {}).get("eos_token")
        text = end.get("content") if isinstance(end, dict) else end
        ends = [] if text is None else [self._token(folder, text)]
        for file in ("generation_config.json", "config.json"):
            ids = self._ids(folder, file)
            ends += ids
            if ids:
                break
        return (ends[0] if ends else None), tuple(dict.fromkeys(ends))

    def _token(self, folder: Path, text: object) -> int:
        token = self._tokenizer.token_to_id(text) if is_unicode(text) else None
        if token is None:
            raise DataError(
                f"{folder / 'tokenizer_config.json'}: the eos_token {shortened(repr(text), 100)} is not in the vocabulary of "
                f"{self.path}. Correct one of the two files."
            )
        return int(token)

    def _ids(self, folder: Path, name: str) -> list[int]:
        """The ids under the key `eos_token_id`; for a model of text and images, those of its text part."""
        content = read_mapping(folder, name) or {}
        number = content.get("eos_token_id")
        if number is None and isinstance(part := content.get("text_config"), dict):
            number = part.get("eos_token_id")
        ids = number if isinstance(number, list) else [] if number is None else [number]
        for token in ids:
            if type(token) is not int or not 0 <= token < self.vocabulary:
                raise DataError(
                    f"{folder / name}: the eos_token_id {shortened(repr(token), 60)} is not an id of {self.path}, which has "
                    f"{self.vocabulary:,} tokens. Correct one of the two files."
                )
        return ids


def _without_tokenizer(folder: Path) -> DataError:
    if not folder.exists():
        return DataError(
            f"There is no model in {folder}. `trimtab models list` lists the imported models; `trimtab models import "
            "smollm2-135m` imports one."
        )
    return DataError(
        f"The folder {folder} contains no tokenizer.json. Write one if you trust the model's files: python -c \"from "
        f"transformers import AutoTokenizer as T; T.from_pretrained('{folder}').save_pretrained('{folder}')\"."
    )
