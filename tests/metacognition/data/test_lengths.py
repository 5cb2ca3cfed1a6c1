"""The limit on the length of examples."""

from trimtab.metacognition.data.lengths import FIRST, PROBED, STEP, LengthLimit


def lengths(seed: int, position: int) -> int:
    """Examples that grow, and one long one in the samples of the second probe."""
    return 500 if position == 2 * FIRST + 5 else 20 + seed + position // 16


def test_probes_raise_the_limit_in_steps_up_to_the_context_and_nothing_lowers_it() -> None:
    limit = LengthLimit(30, 480, lengths)
    at = [limit.at(0, position) for position in range(3000)]
    assert set(at[:FIRST]) == {30} and at == sorted(at)
    # The first probe finds 39 tokens, which one step covers; the second 500, more than the context.
    assert set(at[FIRST : 2 * FIRST]) == {30 + STEP} and set(at[2 * FIRST :]) == {480}


def test_the_limit_depends_on_seed_and_position_and_few_samples_are_measured() -> None:
    measured: list[int] = []

    def counted(seed: int, position: int) -> int:
        measured.append(position)
        return 20 + seed

    limit = LengthLimit(30, 4000, counted)
    assert limit.at(500, 1_000_000) == 30 + -(-490 // STEP) * STEP and limit.at(0, 1_000_000) == 30
    assert len(measured) == 2 * 12 * PROBED  # the probes at 256, 512, ..., 524,288
    assert limit.at(500, FIRST - 1) == 30


def test_a_start_beyond_the_context_is_the_context() -> None:
    assert LengthLimit(100, 50, lengths).at(0, 0) == 50
