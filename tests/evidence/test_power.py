import pytest

from trimtab.errors import ConfigError
from trimtab.evidence import confirmable_claims, pairs_needed, plan, power, smallest_p


def test_the_smallest_p_is_2_over_2_to_the_n():
    assert [smallest_p(n) for n in (0, 1, 5, 6, 10)] == [1, 1, 1 / 16, 1 / 32, 1 / 512]


@pytest.mark.parametrize(("n", "claims"), [(5, 0), (6, 1), (7, 3), (8, 6), (9, 12), (10, 25)])
def test_the_number_of_claims_that_can_be_confirmed(n, claims):
    assert confirmable_claims(n) == claims


def test_the_power_given_in_the_documentation():
    one, strictest = power(1.0, 8, draws=20_000), power(1.0, 8, share=5, draws=20_000)
    assert one.both_tests == pytest.approx(0.64, abs=0.012)
    assert strictest.both_tests == pytest.approx(0.22, abs=0.012)
    assert one.verdict == pytest.approx(0.61, abs=0.012)
    assert power(2.0, 5) == power(0.0, 5)


def test_above_twenty_pairs_the_t_test_replaces_the_sign_flip_test():
    exact, after = power(0.65, 20, draws=2000), power(0.65, 21, draws=2000)
    assert exact.both_tests == pytest.approx(after.both_tests, abs=0.05)


def test_pairs_needed_give_the_power_of_the_t_test():
    # Cohen's tables: d = .5 takes 34 pairs for 80% at .05, d = 1 takes 10.
    assert pairs_needed(0.5, 1.0) == 34
    assert pairs_needed(0.02, 0.02) == 10
    assert pairs_needed(100.0, 1.0) == 6
    assert pairs_needed(100.0, 1.0, share=5) == 8
    assert 78_400 < pairs_needed(0.01, 1.0) < 78_600
    assert pairs_needed(1e-9, 1.0) > 10**18
    with pytest.raises(ConfigError, match="above 0"):
        pairs_needed(0.0, 1.0)


def test_a_plan_prints_what_it_can_reach():
    text = plan(8, 5, margin=0.02, sd=0.01)
    for words in ("8 pairs, 5 claims", "2/2^8 = 0.0078", "up to 6 claims", "1 SD: 0.2", "2 SD", "0.02"):
        assert words in text
    assert "the claim" in plan()
    assert "by the t test" in plan(30)


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        ((5,), {}, "5 pairs cannot give a verdict"),
        ((6, 2), {}, "6 pairs cannot confirm 2 claims.*Plan 7 pairs, or at most 1 claim"),
        ((8, 7), {}, "Plan 9 pairs, or at most 6 claims"),
        ((6, 1), {"alpha": 0.01}, "Plan 8 pairs"),
        ((8, 0), {}, "at least one claim"),
        ((8, 1), {"min_power": 0.8}, "needs the margin"),
        ((8, 1), {"min_power": 0.8, "margin": 0.01, "sd": 0.02}, "needs a power of 0.8 and has 0.2"),
    ],
)
def test_a_plan_below_its_required_power_is_refused(arguments, more, words):
    with pytest.raises(ConfigError, match=words):
        plan(*arguments, **more)


def test_a_plan_with_its_required_power_is_accepted():
    assert "0.9" in plan(12, 1, min_power=0.8, margin=0.03, sd=0.02)
