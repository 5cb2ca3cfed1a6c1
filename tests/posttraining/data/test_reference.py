"""References: computed once, kept under a key of all that determines them, and refused where they do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.tasks.shared import write_rows
from tests.posttraining.files import sums
from trimtab.config import ConfigError
from trimtab.data import IGNORE, CharacterTokenizer, cache_folder
from trimtab.errors import DataError
from trimtab.posttraining.data import reference as references
from trimtab.posttraining.data.pairs import pairs
from trimtab.posttraining.run_model import run_model
from trimtab.runtime.context import DEFAULT_CONTEXT
from trimtab.training.config import load_config
from trimtab.training.runs.lifecycle import begin


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in sums(40)]
    data = {"name": "chat", "path": write_rows(folder / "chats.jsonl", rows), "context": 48}
    made = load_config(
        None,
        [
            f"data={json.dumps(data)}",
            "model={name: decoder, layers: 1, width: 32, heads: 2, dropout: 0.1}",
            "episode={steps: 4, batch_size: 4, evaluate_every: 4, checkpoint_every: 2, precision: fp32, sample: {tokens: 0}}",
            "threads=1",
        ],
    )
    begin(made, folder / "run", DEFAULT_CONTEXT)
    return folder / "run"


def data(tmp_path: Path, run: Path, **options: Any) -> Any:
    path = write_rows(tmp_path / "pairs.jsonl", sums(30))
    settings = {"tokenizer": CharacterTokenizer(), "context": 48, "reference": str(run), "validation": 4, **options}
    return pairs(path=path, **settings)


def cached() -> set[Path]:
    return set((cache_folder() / "references").glob("*.safetensors"))


def test_cached_values_are_those_of_the_model_alone_and_of_any_batch(run: Path, tmp_path: Path) -> None:
    made = data(tmp_path, run)
    model = run_model(run).network
    assert not model.training
    for index in (0, 3, 7):
        batch = made.train.batch([index], 0)
        for row in (0, 1):
            labels = batch.labels[row][1:]
            length = int((batch.labels[row] != IGNORE).nonzero()[-1]) + 1
            with torch.no_grad():
                log_p = model(batch.input_ids[row : row + 1, : length - 1]).log_softmax(-1)[0]
            chosen = labels[: length - 1] != IGNORE
            live = log_p[chosen, labels[: length - 1][chosen]].sum()
            assert batch.metadata["reference_log_prob"][row] == pytest.approx(float(live), abs=1e-5)


def test_the_reference_is_computed_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = references.compute
    monkeypatch.setattr(references, "compute", lambda *arguments: calls.append(1) or compute(*arguments))
    first, second = data(tmp_path, run, seed=5), data(tmp_path, run, seed=5)
    assert calls == [1]
    assert first.fingerprint == second.fingerprint
    for row in range(8):
        one, other = (made.train._item(row)["metadata"] for made in (first, second))
        assert one == other
    assert data(tmp_path, run, seed=5, reference=None).fingerprint != first.fingerprint


def test_each_part_of_the_key_changes_it() -> None:
    known = {"weights": "a", "tokenizer": "b", "template": "c", "data": "d", "precision": "fp32"}
    keys = {references.reference_key(**{**known, name: "changed"}) for name in known}
    assert len(keys | {references.reference_key(**known)}) == 6


def test_other_weights_rows_templates_and_precisions_are_computed_again(run: Path, tmp_path: Path) -> None:
    data(tmp_path, run)
    before = cached()
    (tmp_path / "template.jinja").write_text("{% for m in messages %}{{ m.content }};{% endfor %}")
    data(tmp_path, run, template_file=str(tmp_path / "template.jinja"))
    data(tmp_path, run, reference_precision="bf16")
    data(tmp_path, run, validation=5)
    assert len(cached() - before) == 3


def test_a_damaged_cache_is_refused(run: Path, tmp_path: Path) -> None:
    data(tmp_path, run, seed=9)
    (file,) = [path for path in cached() if path.stat().st_mtime_ns == max(p.stat().st_mtime_ns for p in cached())]
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])
    with pytest.raises(DataError, match=r"^The cached log probabilities in \S+ are damaged .*Delete the file"):
        data(tmp_path, run, seed=9)
    file.unlink()
    data(tmp_path, run, seed=9)
    assert file.read_bytes() == whole


def test_a_reference_that_does_not_fit_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data\.reference: there is no model in \S+nowhere"):
        data(tmp_path, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"^data\.reference: the run in \S+ has another tokenizer \(character\)"):
        data(tmp_path, run, tokenizer=CharacterTokenizer(policy="ascii128"))
    long = write_rows(tmp_path / "long.jsonl", [{**row, "chosen": "1" * 60} for row in sums(10)])
    with pytest.raises(DataError, match=r"^data\.reference: a row has \d+ tokens, and the reference reads at most 48"):
        pairs(tokenizer=CharacterTokenizer(), path=long, context=200, reference=str(run))


def test_a_run_of_another_tokenizer_or_a_shorter_context_is_not_trained_further(run: Path, tmp_path: Path) -> None:
    from trimtab.posttraining.trained import trained

    model = trained(tokenizer=CharacterTokenizer(), context=48, run=str(run))
    assert model.training
    assert model.dropout == 0.1
    assert trained(tokenizer=CharacterTokenizer(), context=48, run=str(run), dropout=0.0).dropout == 0
    with pytest.raises(ConfigError, match=r"^model\.run: the run in \S+ has another tokenizer"):
        trained(tokenizer=CharacterTokenizer(policy="ascii128"), context=48, run=str(run))
    with pytest.raises(ConfigError, match=r"^model\.run: the model of the run in \S+ reads at most 48 tokens"):
        trained(tokenizer=CharacterTokenizer(), context=49, run=str(run))
