"""The pretrained model: equal to transformers, independent of padding, in the requested precision."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.models.pretrained.folders import KINDS, VOCABULARY, ids, load, write
from trimtab.config import ConfigError
from trimtab.config.offline import offline_import


@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).eval()
    reference = offline_import("transformers").AutoModelForCausalLM.from_pretrained(folders[kind]).eval()
    with torch.no_grad():
        assert torch.equal(model(ids()), reference(ids()).logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_change_logits(kind: str, side: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).double().eval()
    lengths, width = (24, 17, 3), 24
    rows, real = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.bool)
    for row, length in enumerate(lengths):
        where = slice(width - length, width) if side == "left" else slice(0, length)
        rows[row, where], real[row, where] = ids()[row, :length], True
    for mask in (real, real.long()):
        logits = model(rows, mask)
        assert logits.dtype == torch.float64
        for row, length in enumerate(lengths):
            alone = model(ids()[row : row + 1, :length])[0]
            torch.testing.assert_close(logits[row][real[row]], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_at_padded_positions_change_neither_logits_nor_gradients(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).double().eval()
    real = torch.ones(3, 24, dtype=torch.bool)
    real[:, :9] = False
    gradients = []
    for fill in (0, 5):
        rows = torch.where(real, ids(), fill)
        model.zero_grad()
        model(rows, real)[:, 9:].logsumexp(-1).sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert bool(one.isfinite().all())
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_logits_equal_uncached_ones_with_and_without_padding(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).double()
    whole = model.eval()(ids())
    model.train()  # extend does not change the mode and uses no dropout
    cache, parts, start = model.empty_cache(), [], 0
    for size in (10, 1, 1, 12):
        parts.append(model.extend(ids()[:, start : start + size], cache))
        start += size
    assert model.training
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-9)
    real = torch.ones(3, 24, dtype=torch.bool)
    real[1, :7] = False
    cache, start = model.empty_cache(), 0
    for size in (12, 1, 11):
        seen = model.extend(ids()[:, start : start + size], cache, real[:, : start + size])
        start += size
    alone = model.eval()(ids()[1:2, 7:])
    torch.testing.assert_close(seen[1], alone[0, -11:], rtol=0, atol=1e-9)
    cache = model.empty_cache()
    last = model.extend(ids(), cache, real, last=True)
    assert last.shape == (3, 1, VOCABULARY)
    torch.testing.assert_close(last[0, 0], whole[0, -1], rtol=0, atol=1e-9)
    model.keep_rows(cache, torch.tensor([1]))
    assert cache.layers[0].keys.shape[0] == 1


def test_a_sequence_longer_than_the_context_is_refused(folders: dict[str, Path]) -> None:
    model = load(folders["llama"]).eval()
    assert model.context == 64
    with pytest.raises(ValueError, match="65 tokens does not fit a context of 64"):
        model(ids(1, 65))
    cache = model.empty_cache()
    model.extend(ids(1, 60), cache)
    with pytest.raises(ValueError, match="65 tokens"):
        model.extend(ids(1, 5), cache)


def test_a_context_or_vocabulary_larger_than_the_models_is_refused(folders: dict[str, Path]) -> None:
    from trimtab.models.pretrained.model import Pretrained

    with pytest.raises(ConfigError, match="tokenizer has 62 tokens, but the model in .* has only 61"):
        Pretrained(vocabulary=62, context=8, path=str(folders["llama"]))
    with pytest.raises(ConfigError, match="data.context is 65 tokens, .* reads at most 64"):
        Pretrained(vocabulary=61, context=65, path=str(folders["llama"]))


def test_rows_of_the_embedding_beyond_the_tokenizer_get_no_logits(folders: dict[str, Path]) -> None:
    from trimtab.models.pretrained.model import Pretrained

    model = Pretrained(vocabulary=50, context=8, path=str(folders["llama"])).eval()
    whole = Pretrained(path=str(folders["llama"])).eval()
    assert (model.vocabulary, whole.vocabulary) == (50, 61)
    assert torch.equal(model(ids(1, 8) % 50), whole(ids(1, 8) % 50)[..., :50])


@pytest.mark.parametrize("kind", KINDS)
def test_under_bf16_only_frozen_matrices_are_stored_in_bf16(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind], {"name": "lora", "rank": 2}, {"name": "norms"}).eval()
    plain = model(ids())
    model.compute_dtype = torch.bfloat16
    for name, parameter in model.named_parameters():
        narrow = not parameter.requires_grad and parameter.ndim >= 2
        assert parameter.dtype == (torch.bfloat16 if narrow else torch.float32), name
        assert parameter.requires_grad == (name in model.lr_multipliers)
    streams = []
    handle = model.network.base_model.register_forward_hook(lambda m, a, output: streams.append(output[0].dtype))
    logits = model(ids())
    handle.remove()
    assert (logits.dtype, streams) == (torch.float32, [torch.float32])
    assert 0 < float((logits - plain).detach().norm() / plain.detach().norm()) < 0.05
    functional.cross_entropy(logits.flatten(0, 1), ids().flatten()).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in model.lr_multipliers), name
    model.compute_dtype = None  # the rounded weights, computed in fp32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    once = model(ids())
    model.compute_dtype = torch.bfloat16
    assert torch.equal(model(ids()), logits)
    model.compute_dtype = None
    assert torch.equal(model(ids()), once)


def test_16_bit_weights_are_computed_in_fp32_by_default(tmp_path: Path) -> None:
    folder = write(tmp_path / "half", "llama", dtype=torch.bfloat16)
    model = load(folder, {"name": "norms"}).eval()
    reference = offline_import("transformers").AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert torch.equal(model(ids()), reference(ids()).logits)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
def test_recomputing_activations_gives_the_same_gradients(kind: str, folders: dict[str, Path]) -> None:
    gradients = []
    for recompute in (False, True):
        model = load(folders[kind], recompute=recompute).train()
        with torch.random.fork_rng():
            torch.manual_seed(3)  # GPT-2's dropout: the masks are drawn again
            model(ids()).logsumexp(-1).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("target", ["tokens", "distributions"])
@pytest.mark.parametrize("adapt", [{"name": "full"}, {"name": "lora", "rank": 4}], ids=lambda part: part["name"])
@pytest.mark.parametrize("compute", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_tokens_and_distributions_as_targets_both_train(
    target: str, adapt: dict, compute: torch.dtype | None, folders: dict[str, Path]
) -> None:
    model = load(folders["llama"], adapt).train()
    model.compute_dtype = compute
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    rows = ids()
    goal = torch.softmax(4 * torch.randn(3, 23, VOCABULARY, generator=torch.Generator().manual_seed(1)), dim=-1)
    losses = []
    for _ in range(20):
        logits = model(rows[:, :-1])
        if target == "tokens":
            loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        else:
            loss = -(goal * logits.log_softmax(-1)).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
