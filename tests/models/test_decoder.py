"""The decoder: equal to the reference model, causal, independent of padding, trainable with every option."""

import copy

import pytest
import torch
from torch.nn import functional

from trimtab.bench.gpt import ReferenceModel
from trimtab.models import Decoder

SMALL = {"vocabulary": 23, "context": 96, "layers": 2, "width": 32, "heads": 4}
OPTIONS = [
    {},
    {"position": "rope"},
    {"position": "sinusoidal"},
    {"norm": "rms"},
    {"activation": "swiglu", "ff": 48},
    {"activation": "relu2"},
    {"kv_heads": 2},
    {"kv_heads": 1, "qk_norm": True, "position": "rope"},
    {"tied": False},
    {"ngrams": 3, "ngram_buckets": 50},
    {
        "bias": False,
        "norm": "rms",
        "activation": "swiglu",
        "position": "rope",
        "tied": False,
        "kv_heads": 2,
        "ngrams": 5,
    },
]


def ids(batch=3, length=96, vocabulary=23, seed=0):
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def decoder(seed=1, spread=True, **options):
    """A small decoder; `spread` makes its weights large enough for mistakes to show."""
    model = Decoder(**{**SMALL, **options})
    model.initialise(torch.Generator().manual_seed(seed))
    if spread:
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.15)
    return model


def named(options):
    return ",".join(f"{key}={value}" for key, value in options.items()) or "defaults"


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_logits_equal_those_of_the_reference_model(dtype, tolerance):
    ours = decoder().to(dtype).eval()
    reference = ReferenceModel(vocabulary=23, context=96, layers=2, width=32, heads=4, ff=128).to(dtype).eval()
    reference.load_decoder(ours)
    mine, theirs = ours(ids()), reference(ids())
    torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)
    if dtype == torch.float64:
        mine.logsumexp(-1).sum().backward()
        theirs.logsumexp(-1).sum().backward()
        expected = dict(reference.named_parameters())
        rename = {"token_embedding": "token_embedding.weight", "position_embedding": "position_embedding.weight"}
        for name, parameter in ours.named_parameters():
            name = rename.get(name, name.replace(".mlp.up.", ".mlp.0.").replace(".mlp.down.", ".mlp.2."))
            torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_logits_do_not_depend_on_later_tokens(options):
    model = decoder(**options).double().eval()
    changed = ids()
    changed[:, 70:] = (changed[:, 70:] + 1) % 23
    before, after = model(ids()), model(changed)
    torch.testing.assert_close(before[:, :70], after[:, :70], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, 70:], after[:, 70:], atol=1e-3)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_change_logits(options, side):
    model = decoder(**options).double().eval()
    lengths = (96, 80, 33)
    rows, real = torch.zeros(3, 96, dtype=torch.long), torch.zeros(3, 96, dtype=torch.long)
    for row, length in enumerate(lengths):
        where = slice(96 - length, 96) if side == "left" else slice(0, length)
        rows[row, where], real[row, where] = ids()[row, :length], 1
    logits = model(rows, real)
    assert bool(logits.isfinite().all())
    for row, length in enumerate(lengths):
        alone = model(ids()[row : row + 1, :length])[0]
        torch.testing.assert_close(logits[row][real[row].bool()], alone, rtol=0, atol=1e-11)


def test_padded_positions_do_not_change_gradients():
    model = decoder(position="rope", dropout=0.0).double()
    real = torch.ones(3, 96, dtype=torch.bool)
    real[:, :20] = False
    grads = []
    for fill in (0, 5):
        rows = ids()
        rows[:, :20] = fill
        model.zero_grad()
        model(rows, real)[:, 20:].logsumexp(-1).sum().backward()
        grads.append(model.blocks[0].attention.qkv.weight.grad.clone())
    torch.testing.assert_close(*grads, rtol=0, atol=1e-10)


def train(model, steps, compute, lr=3e-3):
    model.compute_dtype = compute
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    rows = ids(length=97)
    losses = []
    for _ in range(steps):
        logits = model(rows[:, :-1], generator=generator)
        loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("compute", [torch.bfloat16, None], ids=["bf16", "fp32"])
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_the_loss_falls_with_every_option(options, compute):
    model = decoder(spread=False, **options)
    losses = train(model, 25, compute)
    assert losses[-1] < losses[0] - 0.3
    assert all(p.grad is not None and p.dtype == torch.float32 for p in model.parameters())


def test_training_is_reproducible_with_the_same_generator():
    runs = [decoder(spread=False) for _ in range(2)]
    assert train(runs[0], 5, torch.bfloat16) == train(runs[1], 5, torch.bfloat16)
    for one, other in zip(runs[0].parameters(), runs[1].parameters(), strict=True):
        assert torch.equal(one, other)
    model = decoder().train()
    outputs = [model(ids(), generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_each_model_has_its_own_fallback_generator():
    before = torch.random.get_rng_state()
    model = decoder().train()
    twin = copy.deepcopy(model)
    first, second = model(ids()), model(ids())
    assert not torch.equal(first, second)
    assert torch.equal(first, twin(ids()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_is_off_in_eval_mode_and_at_zero():
    model = decoder()
    assert torch.equal(model.eval()(ids()), model(ids()))
    still = decoder(dropout=0.0).train()
    assert torch.equal(still(ids()), model.eval()(ids()))


def test_dropout_keeps_the_mean_of_the_logits():
    model = decoder(spread=False, dropout=0.1).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mean = torch.stack([model(ids(1), generator=generator) for _ in range(400)]).mean(0)
        plain = model.eval()(ids(1))
    assert float((mean - plain).norm() / plain.norm()) < 0.1


def test_the_loss_falls_with_soft_targets():
    model = decoder(dropout=0.0)
    targets = torch.softmax(torch.randn(3, 96, 23, generator=torch.Generator().manual_seed(2)), -1)
    loss = -(targets * model(ids()).log_softmax(-1)).sum(-1).mean()
    loss.backward()
    assert float(model.token_embedding.grad.norm()) > 0


def test_the_head_is_tied_by_default():
    names = dict(decoder().named_parameters())
    assert not any(name.startswith("head") for name in names)
    assert any(name.startswith("head") for name in dict(decoder(tied=False).named_parameters()))


def test_initialisation_depends_only_on_the_generator():
    direct = Decoder(**SMALL, bias=True)
    direct.initialise(torch.Generator().manual_seed(7))
    with torch.device("meta"):
        late = Decoder(**SMALL, bias=True)
    assert all(parameter.is_meta for parameter in late.parameters())
    late.to_empty(device="cpu")
    late.initialise(torch.Generator().manual_seed(7))
    for one, other in zip(direct.parameters(), late.parameters(), strict=True):
        assert torch.equal(one, other)
    weights = {name: parameter.detach() for name, parameter in direct.named_parameters()}
    assert float(weights["blocks.0.mlp.up.weight"].std()) == pytest.approx(0.02, rel=0.05)
    assert float(weights["blocks.0.mlp.down.weight"].std()) == pytest.approx(0.01, rel=0.05)
    assert torch.equal(weights["final_norm.weight"], torch.ones(32))
    assert torch.equal(weights["blocks.1.attention.qkv.bias"], torch.zeros(96))


def test_hooks_get_branch_outputs_and_linear_functions_can_be_replaced():
    model = decoder().eval()
    seen = []
    for block in model.blocks:
        block.attention.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        block.mlp.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    before = model(ids())
    assert seen == [(3, 96, 32)] * 4
    for block in model.blocks:
        block.mlp.down.function = lambda x, weight, bias: torch.zeros(*x.shape[:-1], weight.shape[0])
    assert not torch.allclose(before, model(ids()))


def test_a_sequence_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="does not fit a context of 96"):
        decoder()(ids(length=97))


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"width": 100, "heads": 3}, "heads"),
        ({"heads": 4, "kv_heads": 3}, "kv_heads"),
        ({"width": 12, "heads": 4, "position": "rope"}, "heads"),
        ({"width": 9, "heads": 3, "position": "sinusoidal"}, "width"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters, key):
    with pytest.raises(ValueError, match=f"^{key}: "):
        Decoder.check(parameters)
    Decoder.check({})
