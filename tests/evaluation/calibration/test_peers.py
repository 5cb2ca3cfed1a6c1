"""Our figures against those of the libraries people use, and where a library is wrong."""

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import relplot
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from tests.evaluation.calibration.samples import calibrated, distributions, overconfident
from trimtab.evaluation import calibration
from trimtab.evaluation.calibration import calibration_report, multiclass_report, reliability_diagram
from trimtab.evaluation.calibration.binning import width_bins


def report(c, y, bins=15):
    return calibration_report(c, y, bootstrap=0, null=0, bins=bins, seed=0)


@pytest.mark.parametrize("make", [calibrated, overconfident])
@pytest.mark.parametrize("n", [50, 500, 5000])
def test_smooth_error_equals_that_of_relplot(make, n):
    # relplot looks for the bandwidth on a grid of 2^-10: its value is good to about that.
    c, y = make(n, seed=n)
    assert report(c, y).smooth_ece.value == pytest.approx(relplot.smECE(c, y.astype(float)), abs=1.5e-3)


@pytest.mark.parametrize("n", [100, 2000])
def test_brier_and_log_loss_equal_those_of_scikit_learn(n):
    c, y = overconfident(n)
    result = report(c, y)
    assert result.brier.value == pytest.approx(brier_score_loss(y, c))
    assert result.nll.value == pytest.approx(log_loss(y, c))
    p, labels = distributions(n, 4)
    both = multiclass_report(p, labels, bootstrap=0, null=0, seed=0)
    assert both.nll.value == pytest.approx(log_loss(labels, p, labels=range(4)))
    assert both.brier.value == pytest.approx(brier_score_loss(labels, p, labels=range(4), scale_by_half=False))


def test_the_diagram_equals_that_of_scikit_learn():
    c, y = calibrated(3000)
    accuracy, confidence = calibration_curve(y, c, n_bins=10)
    result = reliability_diagram(c, y, bins=10, bootstrap=0, null=0, seed=0)
    full = result.count > 0
    assert result.accuracy[full] == pytest.approx(accuracy) and result.confidence[full] == pytest.approx(confidence)


def test_equal_width_error_equals_that_of_torchmetrics_below_1():
    c, y = overconfident(3000)
    theirs = binary_calibration_error(torch.tensor(c), torch.tensor(y).long(), n_bins=15)
    assert report(c, y).ece.value == pytest.approx(float(theirs), abs=1e-6)
    p, labels = distributions(3000, 4)
    theirs = multiclass_calibration_error(torch.tensor(p), torch.tensor(labels), num_classes=4, n_bins=15)
    ours = multiclass_report(p, labels, bootstrap=0, null=0, seed=0).top.ece
    assert ours.value == pytest.approx(float(theirs), abs=1e-6)


def test_torchmetrics_differs_at_confidence_1():
    # A confidence of 1 falls into a bin of its own beyond the last one (torchmetrics issue 3510), so its error is not
    # balanced by its neighbours': |1 − 0|/2 + |.95 − 1|/2 where the last of 15 bins holds both: |1.95 − 1|/2.
    c, y = np.array([1.0, 0.95]), np.array([0, 1])
    theirs = float(binary_calibration_error(torch.tensor(c), torch.tensor(y), n_bins=15))
    assert theirs == pytest.approx(0.525)
    assert report(c, y).ece.value == pytest.approx(0.475)
    assert (width_bins(c) == 14).all()


def risk_coverage_of_torch_uncertainty():
    """Its one file: the package as a whole brings a training framework along."""
    package = importlib.util.find_spec("torch_uncertainty")
    path = Path(package.origin).parent / "metrics/classification/risk_coverage.py"
    spec = importlib.util.spec_from_file_location("torch_uncertainty_risk_coverage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_area_under_risk_coverage_equals_that_of_torch_uncertainty():
    p, labels = distributions(400, 3)
    theirs = risk_coverage_of_torch_uncertainty().AURC()
    theirs.update(torch.tensor(p), torch.tensor(labels))
    ours = multiclass_report(p, labels, bootstrap=0, null=0, seed=0).top.aurc.value
    # Its risks are ours; its documentation has their mean, its `compute` the trapezoids between the first and the last.
    risks = theirs.partial_compute().double().numpy()
    assert ours == pytest.approx(risks.mean(), abs=1e-6)
    trapezoids = (risks.sum() - (risks[0] + risks[-1]) / 2) / (len(risks) - 1)
    assert float(theirs.compute()) == pytest.approx(trapezoids, abs=1e-6)


def test_calibration_does_not_import_torch():
    # The package's parents may bring torch along; its own files may not.
    for path in Path(calibration.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", ())] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "matplotlib"}, path
