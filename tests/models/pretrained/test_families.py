"""The families listed in docs/pretrained.md pass the probe, and a model whose cache keeps all rows generates correctly."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.families import families, outcome, tiny
from trimtab.generation.completion import complete
from trimtab.models.pretrained.model import Pretrained

DOCS = Path(__file__).parents[3] / "docs" / "pretrained.md"


def documented() -> tuple[str, list[str]]:
    """The version of transformers and the families that pass with it."""
    match = re.search(r"that transformers ([\d.]+) lists as causal.*?```text\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert match is not None
    return match[1], match[2].split()


def test_the_documented_families_exist() -> None:
    release, names = documented()
    if not version("transformers").startswith(f"{release}."):
        pytest.skip(f"the documentation is for transformers {release}")
    assert len(names) > 100 and set(names) <= set(families())


@pytest.mark.slow
def test_one_in_eight_of_the_documented_families_passes_the_probe() -> None:
    release, names = documented()
    if not version("transformers").startswith(f"{release}."):
        pytest.skip(f"the documentation is for transformers {release}")
    assert {name: outcome(name) for name in names[::8]} == dict.fromkeys(names[::8], "passes")


@pytest.mark.slow
def test_ended_rows_stay_in_a_cache_that_cannot_drop_them(tmp_path: Path) -> None:
    tiny("qwen3_5_text").save_pretrained(tmp_path / "hybrid")
    model = Pretrained(path=str(tmp_path / "hybrid"), adapt=()).eval()
    assert not model.drops_rows
    prompts = [torch.arange(3, 3 + length) for length in (2, 9, 5, 7)]
    free = complete(model, prompts, 8, generator=torch.Generator(), temperature=0)
    stop = {int(row.tokens[2]) for row in free[:3]}
    settings = {"generator": torch.Generator(), "temperature": 0, "stop": stop}
    for one, other in zip(
        complete(model, prompts, 8, **settings), complete(model, prompts, 8, batch_size=1, **settings), strict=True
    ):
        assert one.tokens.tolist() == other.tokens.tolist()
