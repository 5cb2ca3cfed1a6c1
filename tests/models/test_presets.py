"""Presets: each has the size in its name, counted on the meta device."""

import pytest
import torch

from trimtab.models import PRESETS, Decoder

NOMINAL = {
    "tiny": 0.123e6,
    "3m": 3.25e6,
    "10m": 10.8e6,
    "30m": 28.6e6,
    "100m": 99.2e6,
    "124m": 124.4e6,
    "350m": 350e6,
    "500m": 500e6,
}


def build(name):
    preset = PRESETS[name]
    parameters = Decoder.expand({"preset": name})
    Decoder.check(parameters)
    with torch.device("meta"):
        return Decoder(vocabulary=preset.vocabulary, context=preset.context, **parameters)


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_the_size_in_its_name(name):
    model = build(name)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert parameter_count(model) == pytest.approx(NOMINAL[name], rel=0.02)


def test_the_3m_preset_equals_the_defaults():
    plain = Decoder(vocabulary=99, context=256)
    assert {n: p.shape for n, p in build("3m").named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}


def test_gpt2_has_its_published_size():
    assert parameter_count(build("124m")) == 124_439_808


def test_a_key_overrides_its_value_in_the_preset():
    expanded = Decoder.expand({"preset": "10m", "layers": 2, "dropout": 0.0})
    assert (expanded["layers"], expanded["dropout"], expanded["width"]) == (2, 0.0, 384)
    assert Decoder.expand({"layers": 3, "width": 64}) == {"layers": 3, "width": 64, "ff": 256}


def test_an_unknown_preset_is_refused_by_name():
    with pytest.raises(ValueError, match=r"preset: there is no preset '4m'.*10m"):
        Decoder.expand({"preset": "4m"})
