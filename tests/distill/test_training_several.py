"""Several teachers, sparse teachers, mixed images, residual students: what one student minimises then."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from darkprobe.data import Split, load_split, parse_policy
from darkprobe.data.views import Views
from darkprobe.distill import METHODS, DistillConfig, TrainConfig, distill
from darkprobe.distill.loop import epoch_order
from darkprobe.errors import InvalidValueError
from darkprobe.extract import extract_logits
from darkprobe.store.logit_file import LogitFile, open_file
from darkprobe.zoo import Model, build_module, load_model

SHORT = TrainConfig(epochs=2, batch_size=50, learning_rate=0.015, evaluations=24)  # a look after every step
INDEX = epoch_order(0, 0, 600)[:50]


@pytest.fixture(scope="module")
def parts() -> dict[str, Split]:
    return {name: load_split("digits", name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def teachers() -> list[Model]:
    """Networks with fresh weights, made less sure or surer: what they say is enough to check what is minimised."""
    models = [load_model("mlp-64", input_shape=(1, 8, 8), num_classes=10, seed=seed) for seed in (5, 6)]
    for model in models:
        with torch.no_grad():
            list(model.module.parameters())[-2].mul_(8)
    return models


@pytest.fixture(scope="module")
def stored(teachers: list[Model], parts: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> list[LogitFile]:
    folder = tmp_path_factory.mktemp("store")
    return [open_file(extract_logits(model, parts["train"], folder, progress=False)) for model in teachers]


def first_batch(parts: dict[str, Split], model: Model) -> tuple[Tensor, list[Tensor]]:
    """The untrained student's logits on the first batch, with the function that gives another network's."""
    student = build_module("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=0)
    inputs = model.prepare(parts["train"].inputs[INDEX])
    with torch.no_grad():
        return student(inputs), inputs


def losses(parts: dict[str, Split], teacher: object, **settings: object) -> np.ndarray:
    config = DistillConfig(training=SHORT, **settings)  # type: ignore[arg-type]
    found = distill("mlp-16", parts["train"], teacher, val=parts["val"], config=config)  # type: ignore[arg-type]
    return found.history.losses[:, 0]


def answers(teachers: list[Model], parts: dict[str, Split]) -> list[Tensor]:
    with torch.no_grad():
        return [model.module.eval()(model.prepare(parts["train"].inputs[INDEX])) for model in teachers]


def soft_ce(student: Tensor, probs: Tensor) -> Tensor:
    return -(probs * student.log_softmax(-1)).sum(-1).mean()


@pytest.mark.parametrize("source", ["stored", "live"])
@pytest.mark.parametrize("method", ["fused-probs", "fused-logits", "cf-swap"])
def test_fused_and_swapped_teachers(
    method: str, source: str, parts: dict[str, Split], teachers: list[Model], stored: list[LogitFile]
) -> None:
    found = losses(parts, stored if source == "stored" else teachers, method=method, ce_weight=0.0, teacher_weight=1.0)
    student, _ = first_batch(parts, teachers[0])
    first, second = answers(teachers, parts)
    if method == "fused-probs":
        target = ((first / 4).softmax(-1) + (second / 4).softmax(-1)) / 2
    elif method == "fused-logits":
        target = ((first + second) / 8).softmax(-1)
    else:
        labels = torch.from_numpy(parts["train"].labels[INDEX])
        at = functional.one_hot(labels, 10).bool()
        own, other = (first / 4).softmax(-1), (second / 4).softmax(-1)
        left = 1 - own[at][:, None]
        target = torch.where(at, own, left * other / (1 - other[at][:, None]))
    assert found[0] == pytest.approx(soft_ce(student, target).item(), rel=1e-5)


@pytest.mark.parametrize("method", ["kd", "kd-hinton"])
def test_dense_guidance_is_the_sum_over_teachers(method: str, parts: dict[str, Split], stored: list[LogitFile]) -> None:
    alone = [losses(parts, entry, method=method, ce_weight=0.0, teacher_weight=1.0)[0] for entry in stored]
    labels = losses(parts, None, method="none", ce_weight=1.0)[0]
    both = losses(parts, stored, method=f"dgkd+{method}", parameters={"drop": 0}, ce_weight=2.0, teacher_weight=3.0)[0]
    assert both == pytest.approx(2 * labels + 3 * sum(alone), rel=1e-5)
    one = losses(parts, stored, method=f"dgkd+{method}", parameters={"drop": 1}, ce_weight=0.0, teacher_weight=1.0)[0]
    assert min(abs(one - value) for value in alone) < 1e-5


def test_gates_close_for_a_teacher_of_the_opposite(
    parts: dict[str, Split], stored: list[LogitFile], tmp_path: Path
) -> None:
    """A teacher that is sure of the label is let through, one sure of another class is not: the first loss tells."""
    from darkprobe.store import LogitStore

    entry, train = stored[0], parts["train"]
    right = functional.one_hot(torch.from_numpy(np.array(entry.labels)), 10).numpy().astype(np.float32) * 9
    store = LogitStore(tmp_path, create=True)
    for tag, logits in (("right", right), ("wrong", -right)):
        store.add(
            dataclasses.replace(entry.card, tag=tag), dataset=entry.dataset, split=entry.split, logits=logits,
            labels=entry.labels, example_ids=entry.example_ids, class_names=entry.class_names,
            fingerprint=train.fingerprint, source="made",
        )  # fmt: skip
    made = store.entries()
    by_tag = {entry.card.tag: entry for entry in made}
    settings = {"method": "sckd+kd", "ce_weight": 1.0, "teacher_weight": 1.0}
    labels = losses(parts, None, method="none", ce_weight=1.0)[0]
    only = {"method": "kd", "parameters": {"temperature": 1.0}, "ce_weight": 0.0, "teacher_weight": 1.0}
    kd = losses(parts, by_tag["right"], **only)[0]
    both = losses(parts, [by_tag["right"], by_tag["wrong"]], parameters={"temperature": 1.0}, **settings)
    assert both[0] == pytest.approx(labels + kd, rel=1e-4)


def test_the_teacher_stops(parts: dict[str, Split], stored: list[LogitFile]) -> None:
    """From half of the epochs on the loss is the labels' alone: with weight 0 on them nothing is left."""
    found = losses(
        parts, stored[0], method="stop-teacher+kd", parameters={"share": 0.5}, ce_weight=0.0, teacher_weight=1.0
    )
    assert (found[:12] > 0).all() and (found[12:] == 0).all()


def test_the_warm_up_of_dkd_grows_by_the_epoch() -> None:
    method = METHODS["dkd"]
    assert [method.growth(epoch) for epoch in (0, 9, 19, 200)] == [0.05, 0.5, 1.0, 1.0]
    assert method.growth(0, {"warmup_epochs": 0}) == 1.0
    assert METHODS["kd"].growth(0) == 1.0


def test_residual_students_add_up(parts: dict[str, Split], teachers: list[Model], stored: list[LogitFile]) -> None:
    before = load_model("mlp-8", input_shape=(1, 8, 8), num_classes=10, seed=3)
    config = DistillConfig(training=SHORT, method="kd", ce_weight=0.0, teacher_weight=1.0)
    found = distill(
        "mlp-16", parts["train"], stored[0], added=[before], val=parts["val"], test=parts["test"], config=config
    )
    student, inputs = first_batch(parts, teachers[0])
    with torch.no_grad():
        total = student + before.module.eval()(inputs)  # type: ignore[arg-type]
    target = (answers(teachers, parts)[0] / 4).softmax(-1)
    assert found.history.losses[0, 0] == pytest.approx(soft_ce(total, target).item(), rel=1e-5)
    with torch.no_grad():
        test = found.model.prepare(parts["test"].inputs)
        together = (found.model.module(test) + before.module(test)).argmax(1).numpy()
    assert found.test_last == pytest.approx((together == parts["test"].labels).mean())
    assert "to be added to those of mlp-8" in found.model.card.note


@pytest.mark.parametrize("policy", ["mixup1", "cutmix1", "pad1+mixup0.4"])
@pytest.mark.parametrize("method", ["kd", "kd-hinton", "none"])
def test_mixed_images_have_mixed_labels_and_cached_views_are_live_ones(
    policy: str, method: str, parts: dict[str, Split], teachers: list[Model], tmp_path: Path
) -> None:
    model, train = teachers[0], parts["train"]
    path = extract_logits(model, train, tmp_path, views=2, policy=policy, view_seed=4, progress=False)
    settings = {"method": method, "ce_weight": 0.3, "teacher_weight": 0.7, "view_seed": 4, "policy": policy}
    cached, live = (losses(parts, source, **settings) for source in (open_file(path), model))
    np.testing.assert_allclose(cached, live, rtol=1e-5)
    views = Views(train, policy=parse_policy(policy), seed=4)
    inputs = model.prepare(views.images(INDEX, view=0))
    mixing = views.mixing(INDEX, view=0)
    assert mixing is not None and (mixing.share < 1).mean() > 0
    share = torch.from_numpy(mixing.share)[:, None].float()
    one, other = (functional.one_hot(torch.from_numpy(train.labels[rows]), 10) for rows in (INDEX, mixing.partner_rows))
    with torch.no_grad():
        student = build_module("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=0)(inputs)
        teacher = model.module(inputs)
    loss = 0.3 * soft_ce(student, share * one + (1 - share) * other)
    if method == "kd":
        loss = loss + 0.7 * soft_ce(student, (teacher / 4).softmax(-1))
    if method == "kd-hinton":
        kl = functional.kl_div((student / 4).log_softmax(-1), (teacher / 4).softmax(-1), reduction="batchmean")
        loss = loss + 0.7 * 16 * kl
    assert cached[0] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("method", ["ats", "dkd", "kd+crd", "kd-pt"])
def test_methods_that_ask_for_one_label_refuse_mixed_images(
    method: str, parts: dict[str, Split], teachers: list[Model]
) -> None:
    with pytest.raises(InvalidValueError, match="must not ask for the one label of an example when images are mixed"):
        losses(parts, teachers[0], method=method, policy="mixup1")


def test_records_say_whether_they_ask_for_a_label() -> None:
    """Other labels give another term exactly where the record says so."""
    generator = torch.Generator().manual_seed(0)
    student, teacher, other = torch.randn(3, 12, 5, generator=generator, dtype=torch.float64) * 2
    labels, changed = torch.arange(12) % 5, (torch.arange(12) + 1) % 5
    for name, method in METHODS.items():
        if method.kind not in ("target", "loss") or method.module is not None:
            continue
        arrays = {"others": other[None], "other": other, "head_weight": torch.randn(5, 7, generator=generator)}
        inputs = {key: arrays[key].double() for key in method.needs}
        parameters = {"std": 1e-3} if name == "cf-match-std" else {}
        one, two = (
            method.teacher_term(student, teacher, these, parameters=parameters, inputs=inputs)
            for these in (labels, changed)
        )
        assert bool((one != two).any()) == method.one_label, name


@pytest.mark.parametrize("views", [0, 2])
@pytest.mark.parametrize("top_k", [3, 8])
def test_a_sparse_teacher_is_kd_topk_of_the_whole_one(
    top_k: int, views: int, parts: dict[str, Split], teachers: list[Model], stored: list[LogitFile], tmp_path: Path
) -> None:
    """Kept classes and the label are exact, the rest even: checked class by class against the dense logits."""
    from darkprobe.distill.pairing import paired_rows, stored_view
    from darkprobe.distill.sparse_rows import even_tail

    train, policy = parts["train"], "pad1" if views else "clean"
    options = {"views": views, "policy": policy, "progress": False}
    dense = open_file(extract_logits(teachers[0], train, tmp_path / "d", **options))  # type: ignore[arg-type]
    sparse = open_file(
        extract_logits(teachers[0], train, tmp_path / "s", top_k=top_k, temperatures=[1.0, 4.0], **options)  # type: ignore[arg-type]
    )
    for temperature in (1.0, 4.0):
        view = max(0, views - 1)
        rows = paired_rows(sparse, train)
        exact = (stored_view(dense, paired_rows(dense, train), view=view) / temperature).softmax(-1)
        made = (even_tail(sparse, rows, view=view, temperature=temperature) / temperature).softmax(-1)
        rank = exact.argsort(-1, descending=True).argsort(-1)
        known = (rank < top_k) | functional.one_hot(torch.from_numpy(train.labels), 10).bool()
        torch.testing.assert_close(made[known], exact[known], rtol=1e-4, atol=1e-6)
        left = exact.masked_fill(known, 0).sum(-1) / (~known).sum(-1)
        torch.testing.assert_close(made[~known], left[:, None].expand(made.shape)[~known], rtol=1e-3, atol=2e-6)
    if not views:
        at_4 = [losses(parts, entry, method="kd-pt", ce_weight=0.0) for entry in (dense, sparse)]
        np.testing.assert_allclose(at_4[0], at_4[1], rtol=1e-4)  # kd-pt needs p_y alone, which is exact


def test_sparse_teachers_refuse_what_they_cannot_say(
    parts: dict[str, Split], teachers: list[Model], tmp_path: Path
) -> None:
    entry = open_file(
        extract_logits(teachers[0], parts["train"], tmp_path, top_k=3, temperatures=[1.0, 4.0], progress=False)
    )
    for method in ("ats", "wttm", "dist", "ctkd", "dkd", "isats"):
        with pytest.raises(InvalidValueError, match=f"must hold all classes for method '{method}'"):
            losses(parts, entry, method=method)
    with pytest.raises(InvalidValueError, match="must be stored for temperature 2, at which 'kd' looks at it"):
        losses(parts, entry, method="kd", parameters={"temperature": 2.0})
    assert losses(parts, entry, method="ttm", parameters={"gamma": 0.25})[-1] > 0


def test_the_number_of_teachers_is_the_methods_own(
    parts: dict[str, Split], teachers: list[Model], stored: list[LogitFile], tmp_path: Path
) -> None:
    for method, count, told in (
        ("kd", 2, "`teacher` must be one for method 'kd', got 2"),
        ("fused-probs", 1, "`teacher` must be two or more for method 'fused-probs', got 1"),
        ("dgkd", 1, r"dgkd `drop` must leave a teacher, got 1 of 1"),
        ("sckd", 0, "`teacher` must be given for method 'sckd'"),
        ("sckd+ctkd", 2, "must have no trained part to act with sckd"),
    ):
        with pytest.raises(InvalidValueError, match=told):
            losses(parts, stored[:count], method=method)
    other = extract_logits(teachers[1], parts["train"], tmp_path, views=2, policy="pad1", progress=False)
    with pytest.raises(InvalidValueError, match="must be stores of the same views"):
        losses(parts, [stored[0], open_file(other)], method="fused-probs")


@pytest.mark.parametrize("method", ["ls", "tf-kd-reg", "tolerant", "confidence-penalty", "distinct"])
def test_methods_without_a_teacher_need_none(method: str, parts: dict[str, Split]) -> None:
    found = losses(parts, None, method=method)
    assert found[-1] < found[0]
    student, _ = first_batch(parts, load_model("mlp-8", input_shape=(1, 8, 8), num_classes=10, seed=0))
    labels = torch.from_numpy(parts["train"].labels[INDEX])
    record = METHODS[method]
    term = record.teacher_term(student, student, labels)
    if record.target is not None:  # the cross-entropy form, which differs by the target's own entropy
        term = soft_ce(student, record.cached_target(student, labels).probs)  # type: ignore[arg-type]
    expected = record.ce_weight * functional.cross_entropy(student, labels) + record.teacher_weight * term
    assert found[0] == pytest.approx(expected.item(), rel=1e-5)


def test_several_teachers_features_are_contrasted_at_once(parts: dict[str, Split], teachers: list[Model]) -> None:
    found = losses(parts, teachers, method="crd-multi", parameters={"negatives": 32})
    assert np.isfinite(found).all() and found[-1] < found[0]
    with pytest.raises(InvalidValueError, match="must be the same number of pairs for each of 2 teachers, got 1"):
        losses(parts, teachers, method="crd-multi", layers=(("act1", "act1"),))
