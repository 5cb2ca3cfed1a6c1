"""Calibration one can trust: every figure with its interval and with what a perfect predictor would score."""

from trimtab.evaluation.calibration.curves import Reliability, RiskCoverage, reliability_diagram, risk_coverage
from trimtab.evaluation.calibration.distributions import DistributionReport, distribution_report
from trimtab.evaluation.calibration.figure import Figure
from trimtab.evaluation.calibration.multiclass import MulticlassReport, multiclass_report
from trimtab.evaluation.calibration.report import CalibrationReport, calibration_report
from trimtab.evaluation.calibration.sequences import (
    Agreement,
    SequenceConfidence,
    agreement,
    normalised,
    sequence_confidence,
)
from trimtab.evaluation.calibration.streaming import ReliabilityBins
from trimtab.evaluation.calibration.temperature import TemperatureFit, best_temperature, fit_temperature, fitted_items

__all__ = [
    "Agreement",
    "CalibrationReport",
    "DistributionReport",
    "Figure",
    "MulticlassReport",
    "Reliability",
    "ReliabilityBins",
    "RiskCoverage",
    "SequenceConfidence",
    "TemperatureFit",
    "agreement",
    "best_temperature",
    "calibration_report",
    "distribution_report",
    "fit_temperature",
    "fitted_items",
    "multiclass_report",
    "normalised",
    "reliability_diagram",
    "risk_coverage",
    "sequence_confidence",
]
