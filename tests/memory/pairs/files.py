"""Sources built as a config builds them, and small files in the publishers' formats."""

import json
from pathlib import Path
from typing import Any

from trimtab.config import REGISTRIES
from trimtab.memory.pairs import PairSource


def source(name: str, **parameters: Any) -> PairSource:
    registry = REGISTRIES["pairs"]
    built: PairSource = registry.build(registry.resolve({"name": name, **parameters}))
    return built


def write_json(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def squad(*questions: dict[str, Any]) -> dict[str, Any]:
    """A file of SQuAD 2.0 with one article of one paragraph."""
    paragraph = {"context": "A passage.", "qas": list(questions)}
    return {"version": "v2.0", "data": [{"title": "Tea", "paragraphs": [paragraph]}]}


def squad_question(id: str, question: str, *answers: str, **more: Any) -> dict[str, Any]:
    """A question of SQuAD."""
    return {"id": id, "question": question, "answers": [{"text": text, "answer_start": 0} for text in answers], **more}
