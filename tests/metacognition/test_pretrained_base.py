"""The layer around a pretrained model: adapters, recomputed activations, tags among its own tokens."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.metacognition.models import padded
from tests.models.pretrained.folders import KINDS, VOCABULARY, write
from trimtab.config import REGISTRIES, ConfigError
from trimtab.data.tokenizers import PretrainedTokenizer
from trimtab.generation import complete
from trimtab.metacognition.blocks import check_tags
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.rules import ThinkingRules
from trimtab.metacognition.tags import Tags
from trimtab.training.config import resolve_config
from trimtab.training.runs.lifecycle import resume, train

OPEN, CLOSE = 3, 4


class Tokens:
    """What the model asks of a tokenizer."""

    name, vocabulary, tags = "tokens", VOCABULARY, Tags(OPEN, CLOSE)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {kind: write(root / kind, kind) for kind in KINDS}


def made(folder: Path, *adapt: dict[str, Any], recompute: bool = False, **options: Any) -> Metacognitive:
    base = {
        "name": "pretrained",
        "path": str(folder),
        "adapt": list(adapt) or [{"name": "full"}],
        "recompute": recompute,
    }
    spec = {"name": "metacognitive", "base": base, "caps": [0, 2, 4, 8], "proj_dim": 8, "answer_room": 4, **options}
    torch.manual_seed(0)
    model: Metacognitive = REGISTRIES["model"].build(
        REGISTRIES["model"].resolve(spec), vocabulary=VOCABULARY, context=32, tokenizer=Tokens()
    )
    if model.layer.gate_head is not None:
        torch.nn.init.normal_(model.layer.gate_head.weight)
    return model.eval()


def rows(count: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 14, (count,), generator=generator).tolist()
    return [torch.cat((torch.randint(5, VOCABULARY, (n,), generator=generator), torch.tensor([OPEN]))) for n in lengths]


@pytest.mark.parametrize("kind", KINDS)
def test_cached_and_whole_passes_agree_and_padding_changes_no_decision(folders: dict[str, Path], kind: str) -> None:
    model = made(folders[kind])
    ids, mask = padded([torch.cat((row, torch.arange(20, 26))) for row in rows()], "left")
    with torch.no_grad():
        whole = model(ids, mask)
        cache, parts = model.empty_cache(), []
        for start, end in ((0, ids.shape[1] - 6), *((n, n + 1) for n in range(ids.shape[1] - 6, ids.shape[1]))):
            parts.append(model.extend(ids[:, start:end], cache, mask[:, :end]))
        assert float((torch.cat(parts, dim=1) - whole.logits)[mask].abs().max()) <= 2e-5
        assert bool(whole.outputs["gated"].any())
        alone = torch.cat([model.decide(row[None])[0].summary for row in rows()])
        assert float((model.decide(*padded(rows(), "right"))[0].summary - alone).abs().max()) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_budgets_are_held(folders: dict[str, Path], kind: str) -> None:
    model = made(folders[kind])
    for cap in (0, 3, 8):
        options = {"generator": torch.Generator().manual_seed(0), "temperature": 0.0, "batch_size": 4}
        for one in complete(model, rows(), 16, rules=lambda new: ThinkingRules(model, new, cap), **options):  # noqa: B023
            tokens = one.tokens.tolist()
            assert tokens.index(CLOSE) == one.details["think_tokens_used"] <= cap


LORA = {"name": "lora", "rank": 2, "lr": 0.05}


def gradients(model: Metacognitive) -> dict[str, Tensor]:
    ids, mask = padded([torch.cat((row, torch.arange(20, 26))) for row in rows()], "right")
    model.train().zero_grad()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(ids, mask).logits[mask].square().mean().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_recomputed_activations_give_the_same_gradients(folders: dict[str, Path]) -> None:
    plain, recomputed = gradients(made(folders["llama"])), gradients(made(folders["llama"], recompute=True))
    assert set(plain) == set(recomputed)
    assert max(float((plain[name] - recomputed[name]).abs().max()) for name in plain) < 1e-6


def test_adapters_alone_are_trained_and_their_gradients_depend_on_the_gate(folders: dict[str, Path]) -> None:
    model = made(folders["llama"], LORA)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    before = gradients(model)
    base = {name for name in before if name.startswith("base.")}
    assert base and all("lora" in name for name in base)
    assert model.lr_multipliers == dict.fromkeys(base, 0.05)
    assert model.unchanged_weights() == {n for n, p in model.named_parameters() if not p.requires_grad}
    assert model.layer.gate_head is not None
    with torch.no_grad():
        model.layer.gate_head.weight.mul_(1.5)
    after = gradients(model)
    assert max(float((before[name] - after[name]).abs().max()) for name in base) > 1e-6


def run(folder: Path, **tags: str) -> dict[str, Any]:
    tokenizer = {"name": "tagged", "base": {"name": "pretrained", "path": str(folder)}, **tags}
    return {
        "threads": 1,
        "data": {"name": "thinking", "task": {"name": "routes", "hops": [0, 1], "nodes": 5, "paths": 2}, "size": 20,
                 "validation": 6, "context": 48, "tokenizer": tokenizer},
        "model": {"name": "metacognitive", "caps": [0, 3, 6], "answer_room": 4,
                  "base": {"name": "pretrained", "path": str(folder), "adapt": [{"name": "last_layers", "layers": 1}]}},
        "episode": {"steps": 4, "batch_size": 2, "precision": "fp32", "evaluate_every": 2, "checkpoint_every": 2,
                    "evaluation_windows": 2, "task_eval": {"problems": 2, "tokens": 12}},
    }  # fmt: skip


def own_tags(folder: Path) -> dict[str, str]:
    """Two tokens of a model that are longer than a character."""
    tokenizer = PretrainedTokenizer(path=str(folder))
    single = [
        text for text in tokenizer.texts() if len(text) > 1 and text.isalpha() and len(tokenizer.encode(text)) == 1
    ]
    return {"open": single[0], "close": single[1]}


def test_a_run_of_a_pretrained_model_resumes_exactly(model_folder: Path, tmp_path: Path) -> None:
    config = resolve_config(run(model_folder, **own_tags(model_folder)))
    train(config, tmp_path / "whole")
    longer = config.model_copy(update={"episode": config.episode.model_copy(update={"steps": 2})})
    train(longer, tmp_path / "run")
    resume(tmp_path / "run", ["episode.steps=4"], accept_changes=True)
    from trimtab.records import RunDirectory

    ends = [RunDirectory(tmp_path / name).summary() for name in ("whole", "run")]
    assert ends[0] is not None and ends[1] is not None
    assert ends[0].weights_sha256 == ends[1].weights_sha256


def test_tags_with_the_embedding_of_another_token_are_refused_unless_it_is_trained(folders: dict[str, Path]) -> None:
    model = made(folders[KINDS[0]], {"name": "norms"})
    weight = model.base.network.get_input_embeddings().weight
    check_tags(model.base, Tags(OPEN, CLOSE))
    with torch.no_grad():
        weight[[7, 9]] = weight[CLOSE].clone()
    with pytest.raises(
        ConfigError, match=r"tokenizer.close: .* \(token 4\) has the embedding of the token 7 and 1 more"
    ):
        check_tags(model.base, Tags(OPEN, CLOSE))
    weight.requires_grad_()
    check_tags(model.base, Tags(OPEN, CLOSE))


def test_tags_must_be_single_tokens_of_a_pretrained_model(model_folder: Path) -> None:
    from trimtab.training.runs.assembly import build_tokenizer

    for close, words in (("</think>", r"the tag '</think>' is \d+ tokens of small"), ("<PAD>", "'<PAD>' is of small")):
        with pytest.raises(ConfigError, match=words):
            build_tokenizer(resolve_config(run(model_folder, **{**own_tags(model_folder), "close": close})))


def test_a_tag_in_a_text_is_spelt(model_folder: Path) -> None:
    from trimtab.training.runs.assembly import build_tokenizer

    tags = own_tags(model_folder)
    tokenizer: Any = build_tokenizer(resolve_config(run(model_folder, **tags)))
    text = f"a{tags['open']}{tags['close']} {tags['open']}"
    ids = tokenizer.encode(text)
    assert not {tokenizer.tags.open, tokenizer.tags.close} & set(ids.tolist())
    assert tokenizer.decode(ids) == text
