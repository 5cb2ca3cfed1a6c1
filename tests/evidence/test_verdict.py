import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import ConfigError, DataError
from trimtab.evidence import Claim, Comparison, judge, judge_all
from trimtab.records import to_json

LOSS = Claim("val_loss", higher_is_better=False, margin=0.02)
FIELDS = [
    "metric",
    "higher_is_better",
    "baseline",
    "treatment",
    "pairing",
    "estimand",
    "n",
    "nonzero",
    "mean_difference",
    "confidence_interval",
    "level",
    "p_value",
    "p_adjusted",
    "p_win",
    "e_value",
    "sd_difference",
    "noise_floor",
    "tail",
    "capped",
    "verdict",
    "claim",
    "reason",
    "sentence",
    "pairs_needed",
]


def normal(mean, sd, n=12, seed=3):
    return np.random.default_rng(seed).normal(mean, sd, n)


def test_every_field_of_a_verdict():
    verdict = judge(normal(-0.05, 0.02), LOSS, baseline="plain", treatment="hot", noise_floor=0.01, capped=1)
    entry = json.loads(json.dumps(to_json(verdict.as_dict())))
    assert sorted(entry) == sorted(FIELDS)
    assert entry["verdict"] == "superior"
    assert entry["level"] == 0.95 and len(entry["confidence_interval"]) == 2
    assert (entry["n"], entry["nonzero"], entry["capped"], entry["noise_floor"]) == (12, 12, 1, 0.01)
    assert set(entry["tail"]) == {"measure", "heavy"}
    assert entry["claim"] == "val_loss lower 0.02"
    assert "1 diverged run capped" in entry["sentence"]
    for word in (
        "hot against plain",
        "superior",
        "95% interval",
        "12 seed pairs",
        "sign-flip p",
        "A/A noise floor 0.01",
    ):
        assert word in entry["sentence"]


def test_the_sentence_of_a_trimmed_claim_says_trimmed():
    d = normal(-0.05, 0.02)
    assert "; trimmed mean difference -0.0" in judge(d, Claim("val_loss", False, 0.02, scale="trimmed")).sentence
    assert "; difference -0.0" in judge(d, LOSS).sentence


def test_superior_and_inferior_follow_the_direction():
    d = normal(-0.05, 0.02)
    assert judge(d, LOSS).verdict == "superior"
    assert judge(-d, LOSS).verdict == "inferior"
    assert judge(d, Claim("accuracy", True, 0.02)).verdict == "inferior"


def test_a_real_effect_inside_the_margin_is_equivalent():
    verdict = judge(normal(-0.005, 0.002), LOSS)
    assert verdict.verdict == "equivalent"
    assert verdict.confidence_interval[1] < 0
    assert "real, and too small to matter" in verdict.sentence
    heavy = judge(np.array(HEAVY) / 100, Claim("val_loss", False, 0.1))
    assert (heavy.verdict, heavy.tail.heavy) == ("equivalent", True) and "real" not in heavy.reason
    nothing = judge(normal(0.0, 0.01), LOSS)
    assert nothing.verdict == "equivalent" and "real" not in nothing.reason


def test_inconclusive_names_the_test_that_does_not_exclude_0():
    assert judge(normal(0, 0.05), LOSS).reason == "neither test excludes 0"
    few = judge([0.0] * 8 + [0.2, 0.3, 0.25, 0.4], LOSS)
    assert few.verdict == "inconclusive"
    assert "with 4 differences other than 0" in few.reason
    trimmed = judge([0.0] * 10 + [1.0, 2.0], Claim("val_loss", False, 0.02, scale="trimmed"))
    assert trimmed.verdict == "inconclusive" and "left after trimming are equal" in trimmed.reason
    outlier = judge([0.05, 0.06, 0.04, 0.05, 0.07, 0.05, 0.06, 1.5], LOSS)
    assert outlier.reason == "the sign-flip test excludes 0, the t interval does not"


def test_under_six_pairs_there_are_estimates_only():
    verdict = judge([-0.5, -0.51, -0.49, -0.52, -0.5], LOSS)
    assert verdict.verdict == "estimate only"
    assert verdict.p_value == 2 / 32
    assert "5 pairs are too few" in verdict.reason
    alone = judge([-0.5], LOSS)
    assert (alone.verdict, alone.sd_difference, alone.pairs_needed) == ("estimate only", None, None)
    assert alone.confidence_interval == (-np.inf, np.inf)


HEAVY = [-0.5, -0.52, -0.55, -0.6, -0.48, -0.51, -0.53, -0.49, -0.54, -2.0]


def test_a_heavy_tail_withholds_a_plain_claim_only():
    plain = judge(HEAVY, LOSS)
    assert plain.tail.heavy
    assert plain.verdict == "inconclusive"
    assert "heavy" in plain.sentence
    for scale in ("trimmed", "log"):
        planned = judge(HEAVY, Claim("val_loss", False, 0.02, scale=scale))
        assert (planned.verdict, planned.tail.heavy) == ("superior", True)
    assert judge(-np.array(HEAVY), LOSS).verdict == "inconclusive"


def test_a_trimmed_claim_reports_the_trimmed_mean():
    verdict = judge(HEAVY, Claim("val_loss", False, 0.02, scale="trimmed"))
    assert verdict.mean_difference == pytest.approx(np.mean(sorted(HEAVY)[2:-2]))
    assert "fifth" in verdict.estimand


def test_pairs_without_a_difference_count_in_n():
    nothing = judge([0.0] * 8, LOSS)
    assert (nothing.mean_difference, nothing.p_value, nothing.e_value, nothing.nonzero) == (0, 1, 1, 0)
    assert nothing.verdict == "equivalent" and "exactly the same" in nothing.reason
    some = judge([*normal(-0.05, 0.005, 7), 0.0, 0.0, 0.0], LOSS)
    assert (some.n, some.nonzero, some.p_value) == (10, 7, 2 / 128)
    assert some.mean_difference == pytest.approx(0.7 * normal(-0.05, 0.005, 7).mean())
    assert "over the 7 pairs that differ at all" in some.sentence
    assert some.p_win == (7 + 1.5) / 10


def test_equal_differences_get_no_verdict():
    verdict = judge([-0.1] * 8, LOSS)
    assert verdict.verdict == "inconclusive"
    assert verdict.confidence_interval == (-np.inf, np.inf)
    assert "equal" in verdict.reason and "no interval" in verdict.sentence
    assert to_json(verdict.as_dict())["confidence_interval"] == ["-inf", "inf"]


def test_holm_adjusts_the_claims_and_nothing_else():
    strong, weak = normal(-1, 0.3, 8), normal(-0.2, 0.5, 8, seed=9)
    claims = [
        Comparison("a", weak, Claim("a", False, 0.01)),
        Comparison("look", weak, None),
        Comparison("b", strong, Claim("b", False, 0.01)),
    ]
    a, look, b = judge_all(claims)
    assert (b.p_value, b.p_adjusted, b.level) == (2 / 256, 4 / 256, 0.975)
    assert (a.p_adjusted, a.level) == (max(a.p_value, b.p_adjusted), 0.95)
    assert (look.verdict, look.p_adjusted, look.level, look.p_win) == ("estimate only", None, 0.95, None)
    assert "exploratory" in look.sentence


def test_eight_pairs_can_confirm_six_claims_and_not_seven():
    # 8 pairs can confirm 6 claims: 6 · 2/2⁸ = .047.
    rows = [normal(-1, 0.05, 8, seed) for seed in range(6)]
    verdicts = judge_all([Comparison(str(i), row, Claim(str(i), False, 0.01)) for i, row in enumerate(rows)])
    assert {verdict.verdict for verdict in verdicts} == {"superior"}
    rows.append(normal(-1, 0.05, 8, 99))
    verdicts = judge_all([Comparison(str(i), row, Claim(str(i), False, 0.01)) for i, row in enumerate(rows)])
    assert {verdict.verdict for verdict in verdicts} == {"inconclusive"}
    assert sum("cannot fall below 0.0078, and 0.0071 is required" in verdict.reason for verdict in verdicts) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12), st.sampled_from([0.001, 7.0]))
def test_verdicts_swap_with_the_arms_and_scale_with_the_unit(d, factor):
    one = judge(d, Claim("m", True, 3.0))
    swapped = judge(-np.array(d, dtype=float), Claim("m", True, 3.0))
    names = {"superior": "inferior", "inferior": "superior"}
    assert swapped.verdict == names.get(one.verdict, one.verdict)
    assert swapped.mean_difference == pytest.approx(-one.mean_difference)
    assert swapped.p_win == pytest.approx(1 - one.p_win)
    scaled = judge(factor * np.array(d), Claim("m", True, 3.0 * factor))
    assert scaled.verdict == one.verdict
    assert scaled.confidence_interval == pytest.approx(tuple(factor * end for end in one.confidence_interval))
    assert (scaled.p_value, scaled.pairs_needed) == (one.p_value, one.pairs_needed)


def test_unusable_input_is_refused():
    with pytest.raises(DataError, match="number 2"):
        judge([1.0, np.nan], LOSS)
    with pytest.raises(ConfigError, match="one alpha"):
        judge_all([Comparison("a", np.ones(6), LOSS), Comparison("b", np.ones(6), Claim("b", True, 1.0, alpha=0.01))])
