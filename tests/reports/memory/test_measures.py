"""The figures of ablations, robustness, leaks, geometry and landscape, recomputed by hand from the records."""

import json
import math

import numpy as np
import pytest

from tests.reports.memory.folders import curve, make_memory, write_json, write_rows
from tests.reports.memory.measured import SOLVED, cell, name
from tests.reports.memory.test_figures import ends, table, texts
from trimtab.reports.memory import ablations as ablation
from trimtab.reports.memory.geometry import geometry
from trimtab.reports.memory.landscape import barrier, landscape
from trimtab.reports.memory.leaks import bits, leaks
from trimtab.reports.memory.records import MemoryRecords, read_records
from trimtab.reports.memory.robustness import by_margin, robustness
from trimtab.reports.memory.words import clipped, percent, quantile, share_of, span, spread, wilson


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> MemoryRecords:
    return read_records(make_memory(tmp_path_factory.mktemp("measures") / "m"))


def test_the_sweep_of_k_and_its_thresholds(records):
    section = ablation.ablations(records)
    sentence = (
        "The smallest K from which on every K tried solves that share of the pairs: 50% from K = 4, 95% from K = 16."
    )
    assert sentence in texts(section) and "the vectors are not decoded" in texts(section)
    shown = table(section, "Vectors per memory (K)")
    assert list(shown) == ["1", "2", "4", "8", "16", "32", "64", "128"]
    assert shown["8"]["pairs solved"] == "85% (17 of 20)" and shown["8"]["95% interval"] == ends(17, 20)
    assert list(table(section, "Paraphrases")) == ["off", "on"]
    assert table(section, "Model")["pythia-160m"]["pairs solved"] == "65% (13 of 20)"


def test_a_threshold_that_no_k_reaches_and_an_ablation_that_was_not_run(tmp_path):
    folder = make_memory(tmp_path / "m")
    result = json.loads((folder / "ablations.json").read_text())
    cells = [cell for cell in result["cells"] if cell["ablation"] == "vectors"][:1]
    write_json(folder / "ablations.json", {"cells": cells, "k_thresholds": {"0.5": None}})
    shown = texts(ablation.ablations(read_records(folder)))
    assert "50% from none, 95% from none" in shown
    assert "Learning rate: this ablation was not run." in shown


def test_nearly_equal_learning_rates_are_shown_in_full_precision(tmp_path):
    folder = make_memory(tmp_path / "m")
    cells = [cell("learning_rate", rate, 10) for rate in (0.1, 0.1000001)]
    write_json(folder / "ablations.json", {"cells": cells})
    assert list(table(ablation.ablations(read_records(folder)), "Learning rate")) == ["0.1", "0.1000001"]


def test_the_text_counts_decodes_that_disagree_with_the_margins(records, tmp_path):
    shown = texts(robustness(records))
    assert "reproduces both texts token for token, with the end token" in shown
    # memories 0, 10, 20 and 30 at four levels in two draws, of 38 × 12 variants
    assert "32 of 456 variants were also decoded" in shown
    assert "3.12% (1 of 32) of these decodes disagree with the margins" in shown
    assert "The smallest margins of these variants are within 0.07 logits of 0" in shown
    folder = make_memory(tmp_path / "m")
    rows = [json.loads(line) for line in (folder / "robustness.jsonl").read_text().splitlines()]
    write_rows(folder / "robustness.jsonl", [row for row in rows if row["level"] != 0.2])
    assert "All of these decodes agree with the margins." in texts(robustness(read_records(folder)))
    write_rows(folder / "robustness.jsonl", [row | {"decoded": False} for row in rows])
    assert "No variant (a memory under one draw of a disturbance) was decoded" in texts(
        robustness(read_records(folder))
    )


def test_robustness_counts_memories_and_not_draws(records):
    shown = table(robustness(records), "Memories that pass")
    # at 5% the first draw fails for the 4 memories of the least margins, the second for 2
    assert shown["noise 5%"]["pass"] == "92.1% (35 of 38)" and shown["noise 5%"]["draws"] == "76"
    assert shown["noise 5%"]["95% interval"] == ends(35, 38)
    assert shown["int8"]["pass"] == "100% (38 of 38)" and shown["int4"]["pass"] == "47.4% (18 of 38)"
    assert list(shown)[-4:] == ["fp32", "bf16", "int8", "int4"]
    groups = by_margin(records)
    assert [result.memories for _, result in groups] == [10, 10, 9, 9]
    assert groups[0][0] == pytest.approx((1.0, 1.45)) and groups[0][1].hits == 7.0
    assert [result.share for _, result in groups[1:]] == [1.0, 1.0, 1.0]


def test_leaks_and_bits(records):
    shown = table(leaks(records), "Bits, minus the prior")
    assert (
        shown["the question"]["question mode"] == "-58"
        and shown["the question"]["interval, question mode"] == "-59.5 to -56.5"
    )
    assert shown["another pair's answer"]["no mode"] == "+0.5"
    assert "2.9 bits (95% interval 2.7 to 3.1)" in texts(bits(records))
    tokens = sorted(12 + i % 7 + i % 3 for i in range(SOLVED))[:13]
    first = next(iter(table(bits(records), "Bits by the number of tokens").values()))
    assert first["memories"] == "13" and first["mean bits"] == f"{6 * np.mean(tokens):.4g}"
    assert first["bits per vector"] == f"{6 * np.mean(tokens) / 32:.3g}"


def test_geometry_and_landscape(records):
    assert table(geometry(records), "Norms")["vocabulary"]["largest"] == "3"
    between = table(geometry(records), "Mean cosine between")
    assert between["two restarts of one pair"]["cosine"] == "0.31"
    assert between["two vectors of one memory"]["cosine"] == "0.12"
    assert table(geometry(records), "Nearest tokens")[name(5)]["token"] == "' word5\\n'"
    assert [barrier(path) for path in records.landscape.paths] == pytest.approx([1.0, 2.0, 3.0])
    widths = next(iter(table(landscape(records), "Width of the basin").values()))
    shown = texts(landscape(records))
    assert (
        "is 0.693 nats per token above the memory's own; the geometric mean of the token probabilities is then 0.5 times"
        in shown
    )
    assert (widths["memories"], widths["median"], widths["not reached"]) == ("10", "25%", "1")


def test_shares_spans_and_texts_are_formatted():
    assert percent(0.9475) == "94.8%" and percent(None) == "–" and share_of(0, 0) == "–" and wilson(0, 0) == "–"
    assert span(1.0, math.inf) == "–" and span(0.5, 1.0, shares=True) == "50% to 100%"
    assert clipped(" \n") == "(nothing)" and clipped("a\nb") == "a ⏎ b" and len(clipped("x" * 999)) == 240
    assert spread("abcde", 3) == ["a", "c", "e"] and spread("", 3) == [] and spread("ab", 5) == ["a", "b"]
    assert quantile([], 0.5) is None and quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert curve("flat", 0)[0][0] == 0
