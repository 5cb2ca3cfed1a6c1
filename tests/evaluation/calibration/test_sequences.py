import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.evaluation.calibration import agreement, normalised, sequence_confidence


def test_the_probability_of_a_span_is_the_product_of_its_tokens():
    logs = np.log([[0.5, 0.5, 0.1], [0.9, 0.2, 0.25]])
    result = sequence_confidence(logs, [[1, 1, 0], [0, 1, 1]])
    assert result.probability == pytest.approx([0.25, 0.05])
    assert result.per_token == pytest.approx([0.5, np.sqrt(0.05)])
    assert result.tokens.tolist() == [2, 2]


def test_tokens_outside_the_span_are_ignored():
    logs = np.array([[np.nan, -1.0, 5.0, -np.inf]])
    assert sequence_confidence(logs, [[False, True, False, False]]).probability == pytest.approx([np.exp(-1)])


def test_extreme_log_probabilities_give_probabilities():
    result = sequence_confidence([[0.0, 1e-6], [-np.inf, 0.0], [-800.0, -800.0]], np.ones((3, 2)))
    assert result.probability.tolist() == [1.0, 0.0, 0.0]
    assert result.per_token[1:] == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize(
    ("logs", "mask", "words"),
    [
        ([[-1.0]], [[0]], "answer 0 has none"),
        ([[-1.0, np.nan]], [[1, 1]], "token 1 of answer 0 has nan"),
        ([[0.5]], [[1]], "Log probabilities should be 0 or less"),
        ([-1.0], [1], "one shape"),
        ([[-1.0]], [[1, 1]], "one shape"),
    ],
)
def test_unusable_input_is_refused(logs, mask, words):
    with pytest.raises(ValueError, match=words):
        sequence_confidence(logs, mask)


def test_agreement_is_the_share_of_the_most_frequent_answer():
    result = agreement([" Yes", "yes ", "no", "YES", "maybe"])
    assert (result.answer, result.share, result.samples, result.distinct) == ("yes", 0.6, 5, 3)
    assert agreement(["b", "a", "a", "b"]).answer == "b"  # the first given among equals
    exact = agreement(["4", "4.0", "4"], normalise=lambda text: str(float(text)))
    assert (exact.answer, exact.share) == ("4.0", 1.0)
    with pytest.raises(ValueError, match="at least one answer"):
        agreement([])


def test_normalised_texts_ignore_case_width_and_spacing():
    assert normalised("  The\tSTRASSE \n４ ") == normalised("the straße 4") == "the strasse 4"
    assert normalised("3.5") != normalised("35")


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20))
def test_agreement_lies_between_1_over_m_and_1(answers):
    result = agreement(answers)
    assert 1 / len(answers) <= result.share <= 1 and result.share * len(answers) == answers.count(result.answer)
    assert all(answers.count(other) <= answers.count(result.answer) for other in answers)
