"""The forms of one checkpoint give one answer, and a wrong merge is found."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.pretrained.folders import KINDS, load
from trimtab.models.pretrained.saving import save_model
from trimtab.models.pretrained.verifying import forms_of


def trained(folder: Path, *adapt: dict) -> torch.nn.Module:
    """A model whose additions, which begin as 0, have values."""
    model = load(folder, *(adapt or ({"name": "lora", "rank": 4, "alpha": 32.0},)))
    with torch.no_grad():
        for index, parameter in enumerate(p for p in model.parameters() if p.requires_grad):
            generator = torch.Generator().manual_seed(index)
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_merged_written_and_adapter_forms_agree(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = trained(folders[kind])
    save_model(model, tmp_path / "merged")
    forms = list(forms_of(model, tmp_path / "merged"))
    assert [form.name for form in forms] == [
        "merged, written and read again",
        "adapter, written and read again",
        str(tmp_path / "merged"),
    ]
    assert all(form.agrees and form.difference < 1e-3 for form in forms)


def test_a_model_that_trains_other_parts_has_no_adapter_form(folders: dict[str, Path]) -> None:
    (form,) = forms_of(trained(folders["llama"], {"name": "last_layers", "layers": 1}))
    assert form.agrees


@pytest.mark.parametrize("wrong", ["without additions", "doubled additions", "one layer"])
def test_a_wrong_merge_fails(wrong: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = trained(folders["llama"])
    save_model(model, tmp_path / "merged")
    file = tmp_path / "merged" / "model.safetensors"
    right = load_file(file)
    base = load_file(folders["llama"] / "model.safetensors")
    changed = [name for name in right if name in base and not torch.equal(right[name], base[name].float())]
    assert changed
    factor, names = {
        "without additions": (0, changed),
        "doubled additions": (2, changed),
        "one layer": (0, changed[:1]),
    }[wrong]
    for name in names:
        right[name] = base[name].float() + factor * (right[name] - base[name].float())
    save_file(right, file, metadata={"format": "pt"})
    forms = list(forms_of(model, tmp_path / "merged"))
    assert [form.agrees for form in forms] == [True, True, False]
