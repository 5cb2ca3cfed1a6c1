"""Paired statistics and verdicts, on any table of results."""

from trimtab.evidence.arrays import as_differences
from trimtab.evidence.binomial import binomial_interval, wilson_interval
from trimtab.evidence.capping import Capped, cap
from trimtab.evidence.claims import Claim, parse_claim
from trimtab.evidence.clusters import ClusteredEffect, clustered_interval
from trimtab.evidence.e_values import sign_flip_e_values, t_confidence_sequence, t_e_value, t_e_values
from trimtab.evidence.false_alarms import FalseAlarms, aa_false_alarms, noise_floor
from trimtab.evidence.holm import Holm, holm
from trimtab.evidence.intervals import TInterval, t_interval
from trimtab.evidence.judging import judge_table
from trimtab.evidence.pairing import given_action, paired_differences, treatment_wins, trunk_means
from trimtab.evidence.planning import plan
from trimtab.evidence.power import Power, confirmable_claims, pairs_needed, power, smallest_p
from trimtab.evidence.sequential import Sequential, SequentialResult
from trimtab.evidence.sign_flip import SignFlip, sign_flip_test
from trimtab.evidence.table import Table, read_table
from trimtab.evidence.tails import Tail, tail
from trimtab.evidence.verdict import Comparison, Verdict, judge, judge_all

__all__ = [
    "Capped",
    "Claim",
    "ClusteredEffect",
    "Comparison",
    "FalseAlarms",
    "Holm",
    "Power",
    "Sequential",
    "SequentialResult",
    "SignFlip",
    "TInterval",
    "Table",
    "Tail",
    "Verdict",
    "aa_false_alarms",
    "as_differences",
    "binomial_interval",
    "cap",
    "clustered_interval",
    "confirmable_claims",
    "given_action",
    "holm",
    "judge",
    "judge_all",
    "judge_table",
    "noise_floor",
    "paired_differences",
    "pairs_needed",
    "parse_claim",
    "plan",
    "power",
    "read_table",
    "sign_flip_e_values",
    "sign_flip_test",
    "smallest_p",
    "t_confidence_sequence",
    "t_e_value",
    "t_e_values",
    "t_interval",
    "tail",
    "treatment_wins",
    "trunk_means",
    "wilson_interval",
]
