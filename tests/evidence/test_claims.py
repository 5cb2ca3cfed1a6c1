import pytest

from trimtab.errors import ConfigError
from trimtab.evidence import Claim, parse_claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("val_loss lower 0.02", Claim("val_loss", False, 0.02)),
        (" accuracy  higher 1e-3 ", Claim("accuracy", True, 0.001)),
        ("val_loss lower 0.02 log", Claim("val_loss", False, 0.02, scale="log")),
        ("held-out loss lower 0.0123456789", Claim("held-out loss", False, 0.0123456789)),
        ("val_loss lower 0.02 trimmed", Claim("val_loss", False, 0.02, scale="trimmed")),
    ],
)
def test_a_claim_is_parsed_and_written_back(text, claim):
    assert parse_claim(text) == claim
    assert parse_claim(claim.text) == claim


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("val_loss", "cannot be read"),
        ("val_loss down 0.02", "cannot be read"),
        ("val_loss lower small", "'small' is not a number"),
        ("val_loss lower 1_0", "'1_0' is not a number"),
        ("val_loss lower ٣", "is not a number"),
        ("val_loss lower 0,5", "'0,5' is not a number"),
        ("val_loss lower 1e999", "above 0"),
        ("val_loss lower 0", "above 0"),
        ("val_loss lower nan", "above 0"),
        ("val_loss lower 0.02 squared", "cannot be read"),
    ],
)
def test_a_malformed_claim_is_refused(text, word):
    with pytest.raises(ConfigError, match=word):
        parse_claim(text)


@pytest.mark.parametrize("alpha", [0, 0.5, -1, 2])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="alpha"):
        Claim("m", True, 1.0, alpha)


def test_a_claim_without_a_metric_or_with_an_unknown_scale_is_refused():
    with pytest.raises(ConfigError, match="scale is one of plain, trimmed, log"):
        Claim("m", True, 1.0, scale="cubic")
    with pytest.raises(ConfigError, match="metric"):
        Claim("", True, 1.0)
