import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trimtab.random import PURPOSES, Streams, derive_seed, global_stream


def draw(generator: torch.Generator, count: int = 8) -> list[float]:
    return torch.rand(count, generator=generator, dtype=torch.float64).tolist()


def test_the_same_seed_gives_the_same_streams_and_another_gives_others() -> None:
    for purpose in PURPOSES:
        assert draw(Streams(0)[purpose]) == draw(Streams(0)[purpose])
        assert draw(Streams(0)[purpose]) != draw(Streams(1)[purpose])


def test_no_two_purposes_share_a_stream() -> None:
    streams = Streams(0)
    assert len({tuple(draw(streams[purpose])) for purpose in PURPOSES}) == len(PURPOSES)


@pytest.mark.parametrize("used", PURPOSES)
def test_using_one_stream_changes_no_other(used: str) -> None:
    streams, untouched = Streams(0), Streams(0)
    draw(streams[used], 1000)
    for purpose in PURPOSES:
        same = draw(streams[purpose]) == draw(untouched[purpose])
        assert same == (purpose != used)


def test_purposes_look_independent() -> None:
    streams = Streams(0)
    values = np.array([draw(streams[purpose], 20_000) for purpose in PURPOSES])
    correlation = np.corrcoef(values) - np.eye(len(PURPOSES))
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


@given(st.integers(0), st.lists(st.integers(), max_size=3))
def test_a_stream_at_a_position_depends_on_the_position_only(seed: int, position: list[int]) -> None:
    streams = Streams(seed)
    first = draw(streams.at("noise", *position))
    draw(streams["noise"], 17)
    draw(streams.at("noise", *position, 1), 3)
    assert draw(streams.at("noise", *position)) == first


def test_streams_at_two_positions_are_independent_and_change_nothing() -> None:
    streams, untouched = Streams(0), Streams(0)
    first, second = streams.at("noise", 1), streams.at("noise", 2)
    both = (draw(first), draw(second))
    assert both == (draw(streams.at("noise", 1)), draw(streams.at("noise", 2)))
    assert both[0] != both[1]
    assert draw(streams["noise"]) == draw(untouched["noise"])


def test_different_positions_purposes_and_seeds_give_different_seeds() -> None:
    seeds = {
        derive_seed(seed, purpose, a, b) for seed in (0, 1) for purpose in PURPOSES for a in range(20) for b in range(5)
    }
    assert len(seeds) == 2 * len(PURPOSES) * 100
    assert derive_seed(0, "data", 1, 11) != derive_seed(0, "data", 11, 1)
    assert derive_seed(0, "data", 1) != derive_seed(0, "data", 1, 0)


def test_the_derivation_of_seeds_does_not_change() -> None:
    # SHA-256 over 'trimtab/0/init', its first 8 bytes, little endian, halved. Every recorded run depends on this.
    assert derive_seed(0, "init") == 7_742_981_880_687_150_552


def test_a_seed_fits_a_generator() -> None:
    for seed in range(200):
        assert 0 <= derive_seed(seed, "init") < 2**63


def test_a_part_with_a_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="must not contain '/'"):
        derive_seed(0, "data/1")


def test_an_unknown_purpose_is_refused() -> None:
    streams = Streams(0)
    with pytest.raises(KeyError, match="no random stream 'dropuot'; there are init, data,"):
        streams["dropuot"]
    with pytest.raises(KeyError, match="no random stream 'dropuot'"):
        streams.at("dropuot", 1)


def test_the_state_survives_json() -> None:
    streams = Streams(0)
    for index, purpose in enumerate(PURPOSES):
        draw(streams[purpose], 3 * index + 1)
    state = json.loads(json.dumps(streams.state_dict()))
    expected = [draw(streams[purpose]) for purpose in PURPOSES]
    other = Streams(0)
    other.load_state_dict(state)
    assert [draw(other[purpose]) for purpose in PURPOSES] == expected
    assert other.state_dict() == streams.state_dict()


def test_a_state_with_an_unknown_stream_is_refused_and_a_missing_one_is_kept() -> None:
    streams = Streams(0)
    state = streams.state_dict()
    with pytest.raises(KeyError, match="no random stream 'old'"):
        streams.load_state_dict({"old": state["init"]})
    draw(streams["data"])
    before = streams.state_dict()["data"]
    streams.load_state_dict({"init": state["init"]})
    assert streams.state_dict()["data"] == before


def test_code_using_the_global_generator_draws_from_the_stream() -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    generator, copy = Streams(0)["dropout"], Streams(0)["dropout"]
    with global_stream(generator):
        first = torch.rand(5)
    with global_stream(generator):
        second = torch.rand(5)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(
        torch.cat([first, second]), torch.cat([torch.rand(5, generator=copy), torch.rand(5, generator=copy)])
    )


def test_the_global_generator_is_restored_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), global_stream(torch.Generator().manual_seed(0)):
        torch.rand(3)
        raise ZeroDivisionError
    assert torch.equal(torch.random.get_rng_state(), before)
