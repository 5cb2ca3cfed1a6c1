"""A setting that transformers would fail on without naming it is refused with its key."""

from pathlib import Path
from typing import Any

import pytest

from trimtab.errors import DataError
from trimtab.models.pretrained.config_checks import check_settings


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": ["phi"]}, "model_type: a list, but the value must be the name of an architecture"),
        ({"model_type": None}, "model_type: null, but the value must be the name of an architecture"),
        ({"hidden_act": "os.system"}, "hidden_act: 'os.system', but the value must be the name of an activation"),
        (
            {"text_config": {"hidden_activation": ["silu"]}},
            "hidden_activation: a list, but the value must be the name of an activation",
        ),
        ({"num_attention_heads": 0}, "num_attention_heads: 0, but the value must be a whole number of at least 1"),
        ({"hidden_size": "32"}, "hidden_size: '32', but the value must be a whole number of at least 1"),
        ({"n_head": True}, "n_head: True, but the value must be a whole number"),
        ({"num_key_value_heads": -2}, "num_key_value_heads: -2, but"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        check_settings(config, Path("m"))
    assert words in str(caught.value)


def test_settings_that_models_have_are_taken() -> None:
    check_settings(
        {
            "model_type": "llama", "hidden_act": "silu", "hidden_activation": None, "num_attention_heads": [4, 8],
            "num_key_value_heads": None, "vision_config": {"hidden_act": "quick_gelu", "hidden_size": 32},
        },
        Path("m"),
    )  # fmt: skip
