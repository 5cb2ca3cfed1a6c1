import math
import os
from pathlib import Path

import numpy as np
import pytest

from trimtab.errors import ConfigError, DataError
from trimtab.evidence import Claim, judge, judge_table, read_table

LOSS = Claim("val_loss", False, 0.02)


def written(tmp_path, text):
    path = tmp_path / "results.csv"
    path.write_text(text)
    return path


def paired(arms, metric="val_loss", seed=1, n=8):
    """Arms with the given mean differences from the first, on shared seed levels."""
    generator = np.random.default_rng(seed)
    level = generator.normal(3, 0.3, n)
    lines = [f"arm,seed,{metric},accuracy"]
    for arm, shift in arms.items():
        values = level + shift + 0.01 * generator.normal(size=n)
        lines += [f"{arm},{s},{float(v)!r},{float(v) / 9!r}" for s, v in enumerate(values)]
    return "\n".join(lines) + "\n"


def test_a_table_is_read(tmp_path):
    table = read_table(written(tmp_path, "arm,seed,val_loss\nb,1,2.5\n\na, 1 ,3.5\na,0,3\nb,0,nan\n"))
    assert (table.arms, table.metrics, table.keys) == (("b", "a"), ("val_loss",), (("1", "1"), ("0", "0")))
    assert table.values["a", "val_loss"].tolist() == [3.5, 3]
    assert math.isnan(table.values["b", "val_loss"][1])
    assert table.lines == {"b": (2, 6), "a": (4, 5)}
    assert not table.has_trunks


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["has no results"]),
        ("arm,seed,val_loss\n", ["has no results"]),
        ("name,seed,val_loss\na,0,1\n", ["column 'arm' is missing", "name, seed, val_loss"]),
        ("arm,val_loss\na,1\n", ["column 'seed' is missing"]),
        ("arm,seed\na,1\n", ["no metric"]),
        ("arm,seed,x,x\na,1,2,3\n", ["'x' twice"]),
        ("arm,seed,x\na,0,1\na,1,1\n", ["two arms", "a"]),
        ("arm,seed,x\na,0,1\nb,0\n", ["line 3", "2 cells under 3 columns"]),
        ("arm,seed,x\na,0,1\nb,0,low\n", ["line 3", "column 'x'", "'low' is not a number"]),
        ("arm,seed,x\na,0,1\nb,0,\n", ["line 3", "column 'x'", "'' is not a number"]),
        ("arm,seed,x\na,0,1\na,1,1\nb,0,1\n", ["arm 'b' has no run with seed 1, which 'a' has"]),
        ("arm,seed,x\na,0,1\nb,0,1\na,0,2\n", ["line 4", "arm 'a' has a run with seed 0 already, on line 2"]),
        ("arm,seed,x\na,0,1\n,0,1\n", ["line 3", "column 'arm'", "empty"]),
        ("arm,seed,x,diverged\na,0,1,0\nb,0,1,maybe\n", ["line 3", "'diverged'", "'maybe'"]),
        ("arm,seed,x,y,untrained\na,0,1,1,1\nb,0,1,1,1\n", ["belongs to one metric", "untrained_METRIC"]),
        ("arm,seed,x,untrained_y\na,0,1,1\nb,0,1,1\n", ["'untrained_y' belongs to no metric"]),
        ("arm,trunk,seed,x\na,t,0,1\nb,t,0,1\nb,t,1,1\n", ["arm 'a' has no run with trunk t and seed 1"]),
        ("arm;seed;x\na;0;3,5\nb;0;3,6\n", ["separated by semicolons", "commas between the columns", "not 0,5"]),
        ('"arm";"seed";"x"\n"a";"0";"3"\n', ["separated by semicolons"]),
        ("arm\tseed\tx\na\t0\t1\n", ["separated by tabs"]),
        ("arm|seed|x\na|0|1\n", ["separated by vertical bars"]),
        ("Arm;Seed;x\na;0;1\nb;0;1\n", ["separated by semicolons"]),
        ("arm:seed:x\na:0:1\nb:0:1\n", ["separated by colons"]),
        ("arm seed x\na 0 1\nb 0 1\n", ["separated by spaces"]),
        ("sep=;\narm;seed;x\na;0;1\n", ["sep=;, is a note for Excel", "Take that line out"]),
        ("arm,seed,x\na;0;1\nb;0;1\n", ["line 2", "1 cells under 3 columns", "separated by semicolons"]),
        ("arm,seed,x\na,0,3,5\nb,0,3,6\n", ["line 2", "4 cells under 3 columns", "decimal point"]),
        ('arm,seed,x\na,0,"3,5"\nb,0,1\n', ["line 2", "'3,5' has a decimal comma"]),
        ("arm,seed,x,\na,0,1,\nb,0,1,\n", ["column 4 has no name"]),
        ("Arm,seed,x\na,0,1\nb,0,1\n", ["column 'arm' is missing", "Rename 'Arm'"]),
        ("arm,seed,x\na,0,1e400\nb,0,1\n", ["line 2", "'1e400' is beyond the largest number"]),
        ("arm,seed,x\na,0,1_000\nb,0,1\n", ["'1_000' is not a number"]),
        ("arm,seed,x\na,0,٣\nb,0,1\n", ["is not a number"]),
        ("arm,seed,x\na,0,\x1b[31m\nb,0,1\n", ["'\\x1b[31m' is not a number"]),
        ("arm,seed,x\na,1,1\na,1.0,1\nb,1,1\n", ["line 3", "seed 1 already, on line 2"]),
        ('arm,seed,x\na,0,"1\n', ["cannot be read"]),
    ],
)
def test_an_unusable_table_is_refused(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_table(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_in_utf_16_is_refused_by_name(tmp_path):
    (tmp_path / "excel.csv").write_text("arm,seed,x\na,0,1\nb,0,1\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"excel\.csv: it is in UTF-16 .* Save it as CSV in UTF-8"):
        read_table(tmp_path / "excel.csv")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_a_table_that_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(DataError, match="cannot be read.*not a regular file"):
            read_table(path)


def test_a_huge_table_is_refused_without_being_read(tmp_path):
    with (tmp_path / "giant.csv").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="more than 67,108,864 bytes"):
        read_table(tmp_path / "giant.csv")


def test_too_many_pairs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("trimtab.evidence.table.MOST_PAIRS", 2)
    lines = "".join(f"{arm},{seed},1\n" for arm in "ab" for seed in range(3))
    with pytest.raises(DataError, match="3 pairs, and a table may have 2"):
        read_table(written(tmp_path, f"arm,seed,x\n{lines}"))


def test_a_long_header_is_shortened_in_the_error(tmp_path):
    names = ",".join(f"metric{i}" for i in range(5000))
    with pytest.raises(DataError) as error:
        read_table(written(tmp_path, f"name,{names}\n"[:-1] + "\n" + "1," * 5000 + "1\n"))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("text", [
    "\ufeffarm,seed,x\na,0,1\nb,0,2\n",
    '"arm","seed","x"\r\n"a","0","1"\r\n"b","0","2"\r\n',
    "\n\n,,\narm,seed,x\n\na,0,1\n , , \nb,0,2\n\n",
    "arm,seed,x\na,0,1\nb,0.0,2",
    "arm , seed, x\na,0.00,1\nb,0,2\n",
])  # fmt: skip
def test_tables_written_by_other_programs_are_read(tmp_path, text):
    table = read_table(written(tmp_path, text))
    assert (table.arms, table.metrics, table.keys) == (("a", "b"), ("x",), (("0", "0"),))
    assert [table.values[arm, "x"].tolist() for arm in "ab"] == [[1], [2]]


@pytest.mark.parametrize("text", ["1", "1.0", "1.00", "1e0", "true", "TRUE", "Yes"])
def test_texts_for_diverged(tmp_path, text):
    table = read_table(written(tmp_path, f"arm,seed,x,diverged\na,0,1,{text}\nb,0,2,\n"))
    assert table.diverged["a"].tolist() == [True]


@pytest.mark.parametrize("text", ["0", "0.0", "-0.0", "false", "No", ""])
def test_texts_for_not_diverged(tmp_path, text):
    table = read_table(written(tmp_path, f"arm,seed,x,diverged\na,0,1,{text}\nb,0,2,\n"))
    assert table.diverged["a"].tolist() == [False]


@pytest.mark.parametrize("unit", [1e-302, 1e-150, 1e150, 1e300])
def test_the_verdict_does_not_depend_on_the_unit_of_the_table(tmp_path, unit):
    lines = [f"{arm},{s},{(3 + s / 10 - shift * (1 + s / 20)) * unit!r}"
             for s in range(8) for arm, shift in (("plain", 0), ("hot", 0.05))]  # fmt: skip
    table = read_table(written(tmp_path, "\n".join(["arm,seed,val_loss", *lines])))
    (verdict,) = judge_table(table, [Claim("val_loss", False, 0.02 * unit)])
    assert verdict.verdict == "superior"
    assert verdict.sd_difference == pytest.approx(0.00612 * unit, rel=0.01)


def test_claims_come_first_then_estimates_of_everything_else(tmp_path):
    table = read_table(written(tmp_path, paired({"plain": 0, "hot": -0.2, "cold": 0.0})))
    verdicts = judge_table(table, [Claim("accuracy", True, 0.01)])
    assert [(v.metric, v.treatment, v.verdict) for v in verdicts] == [
        ("accuracy", "hot", "inferior"),
        ("accuracy", "cold", "equivalent"),
        ("val_loss", "hot", "estimate only"),
        ("val_loss", "cold", "estimate only"),
    ]
    assert {v.baseline for v in verdicts} == {"plain"}
    assert sorted(v.level for v in verdicts[:2]) == [0.95, 0.975]  # two arms, one claim: a family of two
    assert all(v.claim == "none: exploratory" for v in verdicts[2:])


def test_without_claims_everything_is_exploratory(tmp_path):
    verdicts = judge_table(read_table(written(tmp_path, paired({"a": 0, "b": -1}))))
    assert [v.verdict for v in verdicts] == ["estimate only"] * 2
    assert all("exploratory" in v.sentence for v in verdicts)


def test_pairs_are_matched_by_seed_and_not_by_line(tmp_path):
    text = paired({"a": 0, "b": -0.1})
    lines = text.splitlines()
    shuffled = "\n".join([lines[0], *reversed(lines[1:])]) + "\n"
    one = judge_table(read_table(written(tmp_path, text)), [LOSS], baseline="a")[0]
    other = judge_table(read_table(written(tmp_path, shuffled)), [LOSS], baseline="a")[0]
    assert one.verdict == other.verdict == "superior"
    assert one.mean_difference == pytest.approx(other.mean_difference)


def test_the_default_and_the_named_baseline(tmp_path):
    table = read_table(written(tmp_path, paired({"hot": 0, "baseline": 0.1})))
    assert judge_table(table)[0].baseline == "baseline"
    assert judge_table(table, baseline="hot")[0].baseline == "hot"
    with pytest.raises(ConfigError, match="no arm 'warm'"):
        judge_table(table, baseline="warm")


def test_an_arm_that_repeats_the_baseline_gives_the_noise_floor_and_is_not_judged(tmp_path):
    table = read_table(written(tmp_path, paired({"plain": 0, "again": 0, "hot": -0.2})))
    verdicts = judge_table(table, [LOSS], repeat="again")
    assert {v.treatment for v in verdicts} == {"hot"}
    d = table.values["again", "val_loss"] - table.values["plain", "val_loss"]
    assert verdicts[0].noise_floor == pytest.approx(d.std(ddof=1))
    with pytest.raises(ConfigError, match="repeats the baseline"):
        judge_table(table, repeat="plain")


def diverged_table(tmp_path, column="untrained_val_loss"):
    lines = [f"arm,seed,val_loss,diverged,{column}"]
    lines += [f"a,{s},{3 + s / 10},0,5.5" for s in range(6)]
    lines += [f"b,{s},{2.5 + s / 9},0,5.5" for s in range(4)] + ["b,4,400,1,5.5", "b,5,nan,0,5.5"]
    return read_table(written(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("column", ["untrained_val_loss", "untrained"])
def test_diverged_runs_are_capped_counted_and_kept(tmp_path, column):
    verdict = judge_table(diverged_table(tmp_path, column), [LOSS])[0]
    assert (verdict.n, verdict.capped) == (6, 2)
    expected = [2.5 + s / 9 - 3 - s / 10 for s in range(4)] + [5.5 - 3.4, 5.5 - 3.5]
    assert verdict.mean_difference == pytest.approx(np.mean(expected))
    assert "2 diverged runs capped" in verdict.sentence


def test_a_diverged_run_without_an_untrained_value_is_refused(tmp_path):
    table = read_table(written(tmp_path, "arm,seed,x\na,0,1\nb,0,inf\n"))
    with pytest.raises(DataError, match="line 3.*untrained_x"):
        judge_table(table)


FORKS = "arm,trunk,seed,val_loss\n" + "".join(
    f"{arm},{trunk},{future},{trunk + shift * (1 + future) / 2}\n"
    for arm, shift in (("stay", 0.0), ("switch", -0.3))
    for trunk in range(1, 8)
    for future in range(3)
)


def test_the_unit_of_a_fork_is_its_trunk(tmp_path):
    table = read_table(written(tmp_path, FORKS.replace("switch,7,2,6.55", "switch,7,2,6.61")))
    verdict = judge_table(table, [LOSS])[0]
    assert (verdict.pairing, verdict.n, verdict.nonzero) == ("fork", 7, 7)
    assert verdict.mean_difference == pytest.approx(-0.3 + 0.06 / 21)
    assert verdict.estimand == "mean difference, forked from a shared state, one unit per trunk"
    with pytest.raises(DataError, match="trunk 1 has several forks"):
        judge_table(table, [LOSS], pairing="seed")


def test_a_verdict_names_cold_starts_or_forks(tmp_path):
    table = read_table(written(tmp_path, paired({"a": 0, "b": -0.1})))
    seed, fork = (judge_table(table, [LOSS], pairing=way)[0] for way in ("seed", "fork"))
    assert seed.estimand != fork.estimand and "cold start" in seed.estimand
    assert seed.mean_difference == fork.mean_difference


def test_a_log_claim_compares_ratios(tmp_path):
    table = read_table(
        written(
            tmp_path, "arm,seed,x\n" + "".join(f"a,{s},{1 + s}\nb,{s},{(1 + s) * (2 + s / 50)}\n" for s in range(7))
        )
    )
    verdict = judge_table(table, [Claim("x", True, 0.1, scale="log")])[0]
    assert verdict.verdict == "superior"
    assert verdict.mean_difference == pytest.approx(np.mean([math.log(2 + s / 50) for s in range(7)]))
    negative = read_table(written(tmp_path, "arm,seed,x\na,0,1\nb,0,-1\n"))
    with pytest.raises(DataError, match="column 'x'.*above 0"):
        judge_table(negative, [Claim("x", True, 0.1, scale="log")])


def test_unusable_claims_are_refused(tmp_path):
    table = read_table(written(tmp_path, paired({"a": 0, "b": -0.1})))
    with pytest.raises(ConfigError, match="no metric 'loss'.*val_loss"):
        judge_table(table, [Claim("loss", False, 0.1)])
    with pytest.raises(ConfigError, match="two claims on 'val_loss'"):
        judge_table(table, [LOSS, LOSS])
    with pytest.raises(ConfigError, match="'seed' or 'fork'"):
        judge_table(table, pairing="luck")


def test_a_table_gets_the_verdict_of_its_differences(tmp_path):
    table = read_table(written(tmp_path, paired({"a": 0, "b": -0.1})))
    d = table.values["b", "val_loss"] - table.values["a", "val_loss"]
    assert judge_table(table, [LOSS])[0] == judge(d, LOSS, baseline="a", treatment="b")
