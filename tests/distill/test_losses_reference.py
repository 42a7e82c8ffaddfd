"""Every loss against a NumPy float64 reference written example by example from its formula."""

import numpy as np
import pytest
import scipy.special
import torch

from darkprobe.distill import losses

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(size=(2, 12, 6)) * 2
LABELS = RNG.integers(0, 6, 12)
Z, F, Y = torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(LABELS)


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.special.softmax(scores))


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float(scipy.special.rel_entr(p, q).sum())


def kd_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    return 9.0 * kl(softmax(f / 5), softmax(z / 3))


def hinton_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    return 16.0 * kl(softmax(f / 4), softmax(z / 4))


def ttm_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    p = softmax(f) ** 0.3
    return kl(p / p.sum(), softmax(z))


def wttm_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    p = softmax(f) ** 0.3
    return float(p.sum()) * kl(p / p.sum(), softmax(z))


def dkd_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    p, q = softmax(f / 4), softmax(z / 4)
    tckd = kl(np.array([p[y], 1 - p[y]]), np.array([q[y], 1 - q[y]]))
    nckd = kl(softmax(np.delete(f, y) / 4), softmax(np.delete(z, y) / 4))
    return 16 * (1.5 * tckd + 6.0 * nckd)


def nkd_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    wrong = (softmax(np.delete(f, y) / 3) * np.log(softmax(np.delete(z, y) / 3))).sum()
    return float(-softmax(f)[y] * np.log(softmax(z)[y]) - 3.5 * 9 * wrong)


def wsld_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    weight = 1 - np.exp(-np.log(softmax(z)[y]) / (np.log(softmax(f)[y]) - 1e-7))
    return float(-16 * weight * (softmax(f / 4) * np.log(softmax(z / 4))).sum())


def ranking_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    pairs = [(i, j) for i in range(6) for j in range(i)]
    return float(-np.mean([np.tanh((f[i] - f[j]) / 0.5) * np.tanh((z[i] - z[j]) / 2) for i, j in pairs]))


def list_mle_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    remaining = list(np.argsort(-f))
    total = 0.0
    while remaining:
        total += scipy.special.logsumexp(z[remaining]) - z[remaining[0]]
        remaining.pop(0)
    return total


def standardised_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    a, b = ((v - v.mean()) / (v.std(ddof=1) + 1e-7) for v in (f, z))
    return 4 * kl(softmax(a / 2), softmax(b / 2))


def perturbed_row(f: np.ndarray, z: np.ndarray, y: int) -> float:
    p, q = softmax(f / 2), softmax(z)
    return kl(p, q) + sum(eps * (p * (1 - q) ** (m + 1)).sum() for m, eps in enumerate((0.4, -0.2, 0.1)))


CASES = {
    "kd": (kd_row, losses.kd, {"temperature": 5.0, "student_temperature": 3.0}),
    "kd-hinton": (hinton_row, losses.kd, {"temperature": 4.0, "student_temperature": 4.0}),
    "ttm": (ttm_row, losses.ttm, {"gamma": 0.3}),
    "wttm": (wttm_row, losses.wttm, {"gamma": 0.3}),
    "dkd": (dkd_row, losses.dkd, {"temperature": 4.0, "alpha": 1.5, "beta": 6.0}),
    "nkd": (nkd_row, losses.nkd, {"temperature": 3.0, "gamma": 3.5}),
    "wsld": (wsld_row, losses.wsld, {"temperature": 4.0}),
    "ranking": (ranking_row, losses.ranking, {"teacher_scale": 0.5, "student_scale": 2.0}),
    "list-mle": (list_mle_row, losses.list_mle, {}),
    "standardised": (standardised_row, losses.kd_standardised, {"temperature": 2.0}),
    "perturbed": (perturbed_row, losses.perturbed, {"temperature": 2.0, "coefficients": (0.4, -0.2, 0.1)}),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_loss_is_the_mean_of_its_formula(name: str) -> None:
    row, loss, settings = CASES[name]
    expected = np.mean([row(f, z, int(y)) for f, z, y in zip(TEACHER, STUDENT, LABELS, strict=True)])
    np.testing.assert_allclose(float(loss(Z, F, Y, **settings)), expected, rtol=1e-12)


def test_dist_is_one_minus_pearson_over_rows_and_columns() -> None:
    p, q = (scipy.special.softmax(v / 4, axis=1) for v in (TEACHER, STUDENT))
    rows = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
    columns = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)])
    value = losses.dist(Z, F, temperature=4.0, beta=2.0, gamma=3.0)
    np.testing.assert_allclose(float(value), 16 * (2 * (1 - rows) + 3 * (1 - columns)), rtol=1e-5)  # the 1e-8 below


def test_cross_entropies() -> None:
    log_q = scipy.special.log_softmax(STUDENT, axis=1)
    np.testing.assert_allclose(float(losses.cross_entropy(Z, Y)), -log_q[np.arange(12), LABELS].mean())
    p, weights = scipy.special.softmax(TEACHER, axis=1), RNG.random(12)
    value = losses.soft_cross_entropy(Z, torch.tensor(p), weights=torch.tensor(weights))
    np.testing.assert_allclose(float(value), -(weights * (p * log_q).sum(1)).mean())


def test_teacher_side_terms() -> None:
    p = scipy.special.softmax(STUDENT, axis=1)
    ranked = -np.sort(-p, axis=1)
    np.testing.assert_allclose(
        float(losses.top_score_difference(Z, k=3)), (ranked[:, 0] - ranked[:, 1:3].mean(1)).mean()
    )
    np.testing.assert_allclose(float(losses.confidence_penalty(Z)), (p * np.log(p)).sum(1).mean())
    at4 = scipy.special.softmax(STUDENT / 4, axis=1)
    stds = [np.delete(row, y).std() for row, y in zip(at4, LABELS, strict=True)]
    np.testing.assert_allclose(float(losses.distinctness_reward(Z, Y, temperature=4.0)), -np.mean(stds))
    with pytest.raises(ValueError, match=r"top_score_difference: `k` must lie in \[2, 6\], got 7"):
        losses.top_score_difference(Z, k=7)


def test_the_weight_of_wsld_carries_no_gradient() -> None:
    weights = torch.tensor(
        [
            1 - np.exp(-np.log(softmax(z)[y]) / (np.log(softmax(f)[y]) - 1e-7))
            for f, z, y in zip(TEACHER, STUDENT, LABELS, strict=True)
        ]
    )
    one, other = (Z.clone().requires_grad_() for _ in range(2))
    losses.wsld(one, F, Y, temperature=4.0).backward()
    (16 * losses.soft_cross_entropy(other / 4, (F / 4).softmax(-1), weights=weights)).backward()
    torch.testing.assert_close(one.grad, other.grad)


# Identities


def test_kd_splits_into_label_and_wrong_parts_per_example() -> None:
    label, wrong, rest = losses.decoupled_terms(Z, F, Y, temperature=4.0)
    whole = [kl(softmax(f / 4), softmax(z / 4)) for f, z in zip(TEACHER, STUDENT, strict=True)]
    np.testing.assert_allclose((label + rest * wrong).numpy(), whole, rtol=1e-12)


def test_ttm_is_kd_minus_a_renyi_entropy_of_the_student() -> None:
    """(1/(1-a)) [ KD - a T (T-1) H_{1/T}(q) ] + const = H(y,q) + beta TTM, beta = a T / (1-a); KD with T^2."""
    a, t = 0.9, 4.0
    beta = a * t / (1 - a)
    differences = []
    for student in (Z, Z * 0.3 + 1, Z.flip(0)):
        hinton = (1 - a) * losses.cross_entropy(student, Y) + a * losses.kd(
            student, F, temperature=t, student_temperature=t
        )
        renyi = torch.log((student.softmax(-1) ** (1 / t)).sum(-1)) / (1 - 1 / t)
        left = losses.cross_entropy(student, Y) + beta * losses.ttm(student, F, gamma=1 / t)
        right = (hinton - a * t * (t - 1) * renyi.mean()) / (1 - a)
        differences.append(float(left - right))
    np.testing.assert_allclose(differences, differences[0], rtol=1e-12)  # equal up to a constant of the teacher


def test_wttm_with_a_constant_weight_is_ttm() -> None:
    uniform = torch.zeros_like(F)  # every example weighs C^(1-g)
    weight = 6**0.7
    np.testing.assert_allclose(
        float(losses.wttm(Z, uniform, gamma=0.3)), weight * float(losses.ttm(Z, uniform, gamma=0.3))
    )
    at_one = losses.wttm(Z, F, gamma=1.0)  # U_1 = 1
    np.testing.assert_allclose(float(at_one), float(losses.ttm(Z, F, gamma=1.0)))


def test_kd_with_student_at_one_is_ttm() -> None:
    np.testing.assert_allclose(float(losses.kd(Z, F, temperature=4.0)), float(losses.ttm(Z, F, gamma=0.25)))


def test_ranking_sees_the_order_alone_in_the_limit() -> None:
    stretched = torch.sign(F) * F.abs() ** 3 + 2
    one = losses.ranking(Z, F, teacher_scale=1e-9)
    np.testing.assert_allclose(float(one), float(losses.ranking(Z, stretched, teacher_scale=1e-9)))
    np.testing.assert_allclose(float(losses.list_mle(Z, F)), float(losses.list_mle(Z, stretched)))
    agree = losses.ranking(100 * F, F, teacher_scale=1e-9, student_scale=1e-9)
    assert float(agree) == pytest.approx(-1.0)


# What others do under the same name, and we do not


def test_kl_is_not_divided_by_the_number_of_classes() -> None:
    mean_of_elements = torch.nn.functional.kl_div(Z.log_softmax(-1), F.softmax(-1), reduction="none").mean()
    np.testing.assert_allclose(float(losses.kd(Z, F, temperature=1.0)), 6 * float(mean_of_elements))


def test_kl_is_not_a_cross_entropy_and_vanishes_at_the_teacher() -> None:
    assert float(losses.kd(F, F, temperature=1.0)) == pytest.approx(0.0, abs=1e-15)
    assert float(losses.soft_cross_entropy(F, F.softmax(-1))) > 0.1  # what some libraries call KL


def test_hintons_form_has_its_square_of_the_temperature() -> None:
    norms = []
    for t in (4.0, 400.0):
        z = Z.clone().requires_grad_()
        losses.kd(z, F, temperature=t, student_temperature=t).backward()
        norms.append(float(z.grad.norm()))  # type: ignore[union-attr]
    assert norms[1] > 0.3 * norms[0]  # without the factor it would be 1e-4 of it


def test_proxy_of_no_perturbation_is_the_teacher_and_search_never_loses() -> None:
    p = F.softmax(-1)
    np.testing.assert_allclose(losses.proxy_teacher(p, torch.zeros(3)).numpy(), p.numpy(), atol=1e-12)
    eps = losses.search_coefficients(F, Y, order=2, trials=20, seed=1)
    hot = torch.eye(6)[Y]
    distance = (losses.proxy_teacher(p, torch.tensor(eps, dtype=p.dtype)) - hot).square().sum(-1).mean()
    assert float(distance) < float((p - hot).square().sum(-1).mean())


def test_proxy_teacher_minimises_the_perturbed_loss() -> None:
    eps = torch.tensor([0.5, -0.3], dtype=torch.float64)
    proxy = losses.proxy_teacher(F.softmax(-1), eps)
    at_proxy = float(losses.perturbed(proxy.log(), F, coefficients=eps))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        near = proxy.log() + 0.05 * torch.randn(proxy.shape, generator=generator, dtype=torch.float64)
        assert float(losses.perturbed(near, F, coefficients=eps)) > at_proxy


# CTKD


def test_learned_temperature_starts_where_it_says_and_climbs() -> None:
    module = losses.LearnedTemperature()
    assert float(module.temperature()) == pytest.approx(1 + 20 * scipy.special.expit(1.0))
    assert [module.strength(e) for e in (0, 5, 10, 50)] == pytest.approx([0, 0.5, 1, 1])
    value = module(Z, F, epoch=20)
    t = float(module.temperature())
    value.backward()
    value = value.detach()
    np.testing.assert_allclose(float(value), float(losses.kd(Z, F, temperature=t, student_temperature=t)), rtol=1e-6)
    step = 1e-4
    with torch.no_grad():
        t_high = 1 + 20 * float(torch.sigmoid(torch.tensor(1 + step)))
        high = float(losses.kd(Z, F, temperature=t_high, student_temperature=t_high))
    slope = (high - float(value)) / step
    assert float(module.theta.grad) == pytest.approx(-slope, rel=1e-2)  # type: ignore[arg-type]


def test_learned_temperature_is_one_a_member() -> None:
    module = losses.LearnedTemperature(members=(2,))
    value = module(torch.stack([Z, Z * 2]), F, epoch=10)
    assert value.shape == (2,)
    value.sum().backward()
    assert module.theta.grad is not None and module.theta.grad[0] != module.theta.grad[1]


def test_bad_shapes_and_kinds_are_named() -> None:
    with pytest.raises(ValueError, match=r"kd: .* must have the same shape .* got \(12, 6\) and \(11, 6\)"):
        losses.kd(Z, F[:11], temperature=4.0)
    with pytest.raises(TypeError, match="kd: `student_logits` must be a floating-point torch tensor"):
        losses.kd(STUDENT, F, temperature=4.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kd: `temperature` must be a finite number > 0"):
        losses.kd(Z, F, temperature=0.0)
    with pytest.raises(ValueError, match=r"dkd|decoupled_terms: `labels` must lie in \[0, 6\)"):
        losses.dkd(Z, F, torch.full((12,), 6))


def test_ranking_looks_at_pairs_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and slope do not depend on how many pairs are held at once, and are those of the plain formula."""
    from darkprobe.distill.losses import relational

    generator = torch.Generator().manual_seed(3)
    teacher = torch.randn(2, 6, 7, generator=generator, dtype=torch.float64)
    student = torch.randn(2, 6, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    plain = (
        -((teacher[..., :, None] - teacher[..., None, :]) / 0.5).tanh()
        * ((student[..., :, None] - student[..., None, :]) / 2.0).tanh()
    )
    expected = plain.sum((-2, -1)).mean(-1) / 42
    (slope,) = torch.autograd.grad(expected.sum(), student)
    for pairs in (1, 2 * 6 * 7 * 3, 2**22):
        monkeypatch.setattr(relational, "_PAIRS", pairs)
        found = losses.ranking(student, teacher, teacher_scale=0.5, student_scale=2.0)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found.sum(), student)[0], slope)
