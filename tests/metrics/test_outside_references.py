"""Calibration, scores, divergences and correlations against scikit-learn, torchmetrics and netcal."""

import numpy as np
import pytest
import torch
from scipy import optimize, special
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from darkprobe import metrics

pytest.importorskip("torchmetrics", reason="a reference of the development environment")
from torchmetrics.functional import kendall_rank_corrcoef, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error
from torchmetrics.functional.regression import kl_divergence

netcal = pytest.importorskip("netcal.metrics.confidence", reason="netcal is installed without what it does not need")


@pytest.fixture(scope="module", params=[(3000, 10, 2.0), (700, 3, 0.5), (2000, 100, 4.0)], ids=str)
def sample(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two models and labels; the models are right more often than by chance and over-confident."""
    examples, classes, spread = request.param
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, examples, classes)) * spread
    probs = special.softmax(logits[0] / 2, axis=1)
    labels = (probs.cumsum(1) < rng.random(examples)[:, None]).sum(1).clip(max=classes - 1)
    return logits[0], logits[0] + logits[1] / 3, labels


@pytest.mark.parametrize("temperature", [1.0, 4.0])
class TestCalibration:
    def test_ece(self, sample: tuple[np.ndarray, ...], temperature: float) -> None:
        logits, _, labels = sample
        found = float(metrics.ece(logits, labels, temperature=temperature))
        probs = special.softmax(logits / temperature, axis=1)
        theirs = multiclass_calibration_error(
            torch.from_numpy(probs), torch.from_numpy(labels), num_classes=probs.shape[1], n_bins=15, norm="l1"
        )
        assert found == pytest.approx(float(theirs), abs=1e-6)
        assert found == pytest.approx(netcal.ECE(15).measure(probs, labels), abs=1e-9)

    def test_equal_mass(self, sample: tuple[np.ndarray, ...], temperature: float) -> None:
        """netcal's error of equally filled bins, each made here as one of its equal-width problems."""
        logits, _, labels = sample
        probs = special.softmax(logits / temperature, axis=1)
        order = np.argsort(probs.max(1), kind="stable")
        size = len(order)
        parts = [order[np.arange(size) * 15 // size == b] for b in range(15)]
        expected = sum(
            len(part) / size * abs(netcal.ECE(1).measure(probs[part], labels[part], uncertainty="mean"))
            for part in parts
        )
        assert float(metrics.ece_equal_mass(logits, labels, temperature=temperature)) == pytest.approx(
            expected, abs=1e-9
        )

    def test_scores(self, sample: tuple[np.ndarray, ...], temperature: float) -> None:
        logits, _, labels = sample
        classes = np.arange(logits.shape[1])
        probs = special.softmax(logits / temperature, axis=1)
        nll = metrics.nll(logits, labels, temperature=temperature).mean()
        assert nll == pytest.approx(log_loss(labels, probs, labels=classes), rel=1e-9)
        brier = metrics.brier(logits, labels, temperature=temperature).mean()
        theirs = brier_score_loss(labels, probs, labels=classes, scale_by_half=False)
        assert brier == pytest.approx(theirs, rel=1e-9)
        accuracy = metrics.accuracy(logits, labels).mean()
        assert accuracy == accuracy_score(labels, probs.argmax(1))
        theirs = multiclass_accuracy(
            torch.from_numpy(probs), torch.from_numpy(labels), num_classes=len(classes), average="micro"
        )
        assert accuracy == pytest.approx(float(theirs))


def test_fitted_temperature_is_the_minimum_that_scipy_finds(sample: tuple[np.ndarray, ...]) -> None:
    logits, _, labels = sample

    def loss(temperature: float) -> float:
        return float(log_loss(labels, special.softmax(logits / temperature, axis=1), labels=np.arange(logits.shape[1])))

    best = optimize.minimize_scalar(loss, bounds=(0.05, 50), method="bounded", options={"xatol": 1e-7}).x
    assert float(metrics.fitted_temperature(logits, labels)) == pytest.approx(best, rel=1e-4)


class TestPairs:
    def test_divergence(self, sample: tuple[np.ndarray, ...]) -> None:
        first, second, labels = sample
        p, q = (torch.from_numpy(special.softmax(x / 2.0, axis=1)) for x in (first, second))
        found = metrics.kl_from_reference(first, second, labels, temperature=2.0)
        np.testing.assert_allclose(found, kl_divergence(q, p, reduction="none").numpy(), rtol=1e-7, atol=1e-12)

    def test_correlations_of_the_wrong_classes(self, sample: tuple[np.ndarray, ...]) -> None:
        first, second, labels = (part[:40] for part in sample)
        wrong = np.arange(first.shape[1]) != labels[:, None]
        a, b = (torch.from_numpy(x[wrong].reshape(40, -1).T.astype(np.float32).copy()) for x in (first, second))
        for method, theirs in (("spearman", spearman_corrcoef(a, b)), ("kendall", kendall_rank_corrcoef(a, b))):
            found = metrics.affinity(first, second, labels, method=method)  # type: ignore[arg-type]
            np.testing.assert_allclose(found, theirs.numpy(), atol=2e-5, err_msg=method)
        pt = [torch.from_numpy(special.softmax(x.numpy() / 4.0, axis=0)) for x in (a, b)]
        found = metrics.affinity(first, second, labels, method="pearson", temperature=4.0)
        np.testing.assert_allclose(found, pearson_corrcoef(*pt).numpy(), atol=2e-4)
