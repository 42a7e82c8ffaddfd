"""Studies of generations: what a chain learns from, what is measured, chosen and said, and the command."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.data import Split, load_split, register_data
from darkprobe.data.synthetic import class_directions, parse_config
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.losses import cross_entropy, top_score_difference
from darkprobe.distill.methods import METHODS
from darkprobe.distill.schedules import Classroom, ensemble_probs, generations
from darkprobe.distill.stack import Solo
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.plots import plot_generations
from darkprobe.study.cells import Ledger
from darkprobe.study.generations import (
    GENERATIONS,
    Chain,
    Generations,
    Task,
    Upbringing,
    find_generations,
    run_generations,
)
from darkprobe.study.generations.findings import other_claims, tolerance_over_generations
from darkprobe.study.generations.measures import measure_generations
from darkprobe.study.generations.outputs import choose_upbringings
from darkprobe.study.generations.plan import of_classes
from darkprobe.study.generations.training import GENERATION_SEED, chain_cells, first_objective, train_chains
from darkprobe.study.verdicts import verdicts
from darkprobe.zoo import build_module, find_architecture, preprocess
from darkprobe.zoo.architectures import preprocessing_for

STRICT = Upbringing(ce_weight=0.5)
SOFT = Upbringing(k=4, first_ce_weight=0.45, ce_weight=0.5)
OTHER = Upbringing(k=8, first_ce_weight=0.3, ce_weight=0.1)
TRAINING = TrainConfig(epochs=3, batch_size=50, learning_rate=0.01, evaluations=1)


def small(**changes: object) -> Generations:
    plan = Generations(
        name="small",
        source=Task(data="synthetic:{seed},train=300,val=200,test=200"),
        target=Task(data="synthetic:{seed},classes=10,val=200,test=200", train="val"),
        architecture="mlp-16",
        layer="act2",
        training=TRAINING,
        count=3,
        chains=(Chain(name="strict", grid=(STRICT,)), Chain(name="tolerant", grid=(SOFT, OTHER))),
        pilot=2,
        confirm=3,
    )
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_generations(small(), tmp_path_factory.mktemp("generations"), workers=1, progress=False)


@pytest.mark.parametrize("upbringing", [STRICT, SOFT, Upbringing(ce_weight=0.2, temperature=3.0)])
def test_a_chain_in_a_stack_is_what_the_schedule_trains_alone(upbringing: Upbringing) -> None:
    """Against `schedules.generations`, which trains one chain with the methods of the catalogue."""
    plan = small(count=2)
    (cell,) = chain_cells(plan, 0, [Upbringing(k=3, first_ce_weight=0.4, ce_weight=0.9), upbringing], read_test=False)
    stacked = train_chains(cell, Path())[1]["generations"]
    parts = {role: plan.source.split(role, 0) for role in ("train", "val")}
    preprocessing = preprocessing_for(find_architecture("mlp-16"), (50,))
    inputs = {role: preprocess(part.inputs, preprocessing) for role, part in parts.items()}
    labels = {role: torch.from_numpy(part.labels) for role, part in parts.items()}
    kd = dataclasses.replace(METHODS["kd"], ce_weight=upbringing.ce_weight, teacher_weight=1 - upbringing.ce_weight)
    eta = upbringing.first_ce_weight
    first = dataclasses.replace(METHODS["tolerant"], ce_weight=eta, teacher_weight=1 - eta)

    def room(number: int) -> Classroom:
        return Classroom(
            inputs=inputs["train"], labels=labels["train"], val_inputs=inputs["val"], val_labels=labels["val"],
            config=TRAINING, seed=number * GENERATION_SEED,
        )  # fmt: skip

    def make(number: int) -> Solo:
        return Solo(build_module("mlp-16", input_shape=(50,), num_classes=20, seed=number * GENERATION_SEED))

    patriarch = first if eta < 1 else None
    (teacher,) = generations(
        room(0), make, count=1, method=kd, patriarch=patriarch, patriarch_parameters={"k": upbringing.k}
    )
    student = make(1)
    target = METHODS["kd"].cached_target(
        teacher.logits[0], labels["train"], parameters={"temperature": upbringing.temperature}
    )
    room(1).train(
        student,
        lambda z, index: (
            kd.ce_weight * cross_entropy(z, labels["train"][index])
            - kd.teacher_weight * (torch.as_tensor(target.probs)[index] * z.log_softmax(-1)).sum(-1).mean(-1)
        ),
    )
    for network, record in zip((teacher.network, student), stacked, strict=True):
        assert record["val_accuracy"] == pytest.approx(float(room(0).accuracy(network)[0]), abs=0.006)
        with torch.no_grad():
            probs = network(inputs["train"])[0].softmax(-1)
        assert record["train_primary_confidence"] == pytest.approx(float(probs.max(-1).values.mean()), abs=1e-4)


def test_the_first_loss_is_the_papers_for_every_member() -> None:
    z, y = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 4, 0])
    family = [
        STRICT,
        Upbringing(k=3, first_ce_weight=0.4, ce_weight=1),
        Upbringing(k=5, first_ce_weight=0.7, ce_weight=1),
    ]
    loss = first_objective(family, y)(z, torch.arange(6))
    for i, (eta, k) in enumerate([(1.0, 5), (0.4, 3), (0.7, 5)]):
        expected = eta * cross_entropy(z[i], y) + (1 - eta) * top_score_difference(z[i], k=k)
        assert torch.allclose(loss[i], expected)


@pytest.mark.parametrize(("k", "eta", "label"), [(3, 0.4, 4 / 9), (5, 0.5, 0.8), (5, 0.45, 0.655), (5, 0.6, 1.0)])
def test_a_learnt_example_is_tolerated_below_about_one_half(k: int, eta: float, label: float) -> None:
    """The documented minimum: p_y = eta (K - 1) / ((1 - eta) K), and strictness where that exceeds 1."""
    z = torch.zeros(1, 1, 6).requires_grad_()
    with torch.no_grad():
        z[..., 2] += 2.0  # the label leads, as in a trained network
    loss = first_objective([Upbringing(k=k, first_ce_weight=eta, ce_weight=1)], torch.tensor([2]))
    optimizer = torch.optim.Adam([z], 0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        torch.autograd.backward(loss(z, torch.tensor([0])).sum())
        optimizer.step()
    probs = z.detach().softmax(-1)[0, 0]
    assert float(probs[2]) == pytest.approx(label, abs=0.02)
    assert float(probs.topk(k).values.sum()) > 0.97


def test_measures_of_a_hand_made_chain() -> None:
    labels = np.array([0, 1])
    one = torch.log(torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1]]))
    two = torch.log(torch.tensor([[0.4, 0.3, 0.1, 0.1, 0.1], [0.05, 0.8, 0.05, 0.05, 0.05]]))
    first, second = measure_generations([{"test": one}, {"test": two}], {"test": labels})
    assert first["test_accuracy"] == 0.5 and second["test_accuracy"] == 1.0
    assert first["test_primary_confidence"] == pytest.approx(0.55)
    assert first["test_secondary_confidence"] == pytest.approx((0.5 / 4 + 0.4 / 4) / 2)
    assert first["test_secondary_gap"] == pytest.approx(0.55 - 0.1125)
    both = ensemble_probs([one, two])
    assert second["ensemble_accuracy"] == float((both.argmax(-1) == torch.tensor([0, 1])).double().mean()) == 1.0
    assert first["ensemble_accuracy"] == 0.5


def test_the_other_synthetic_task_has_the_same_superclasses_and_unseen_inputs() -> None:
    plan = find_generations("synthetic")
    near, far = (parse_config(task.data.format(seed=7).split(":")[1]) for task in (plan.source, plan.target))
    draws = [np.random.default_rng([7, 0]).standard_normal((5 + c.classes, 50))[:5] for c in (near, far)]
    assert np.array_equal(*draws)
    within = [class_directions(c)[: c.classes // 5].mean(0) for c in (near, far)]
    assert np.dot(*within) / np.prod([np.linalg.norm(w) for w in within]) > 0.6
    seen, transfer = plan.source.split("train", 7).inputs, plan.target.split("train", 7).inputs
    assert not {row.tobytes() for row in seen} & {row.tobytes() for row in transfer}


def test_classes_are_cut_out_and_renumbered() -> None:
    whole = load_split("digits:3", "test")
    part = of_classes(whole, (5, 6, 9))
    assert part.class_names == ("5", "6", "9") and set(part.labels.tolist()) == {0, 1, 2}
    for row in range(0, len(part), 7):
        place = int(np.flatnonzero(whole.example_ids == part.example_ids[row])[0])
        assert (5, 6, 9)[part.labels[row]] == whole.labels[place]
        assert np.array_equal(part.inputs[row], whole.inputs[place])


def measured(shift: Sequence[float], *, n: int = 30) -> dict[str, dict[str, np.ndarray]]:
    """Strict chain at .7, the tolerant one exactly `shift` away on average, by generation, with noise of a point."""
    rng = np.random.default_rng(1)
    noise, other = 0.01 * rng.standard_normal((2, n, len(shift)))
    strict = 0.7 + noise - noise.mean(0)
    tolerant = strict + np.array(shift) + other - other.mean(0)
    names = ("test_accuracy", "ensemble_accuracy", "transfer_accuracy", "train_secondary_gap")
    chains = {"strict": strict, "tolerant": tolerant, "strict, tuned T": strict + 0.02}
    return {chain: dict.fromkeys(names, values) for chain, values in chains.items()}


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        ((-0.02, 0.02, 0.02), ("confirmed", "confirmed", "confirmed")),
        ((-0.02, 0.02, -0.02), ("refuted", "confirmed", "refuted")),
        ((0.02, 0.02, 0.02), ("refuted", "refuted", "refuted")),
        ((-0.02, 0.0025, 0.02), ("not resolved", "not resolved", "confirmed")),
    ],
)
def test_h7_needs_both_halves_in_every_generation(shift: tuple[float, ...], words: tuple[str, ...]) -> None:
    found = tolerance_over_generations(measured(shift), delta=0.005)
    assert [finding.key for finding in found] == ["H7", "H7.1", "H7.2"]
    spoken = [verdicts([finding], fresh_splits=True)[finding.key] for finding in found]
    assert tuple(verdict["verdict"] for verdict in spoken) == words
    assert all(verdict["n"] == 30 and "n = 30" in verdict["sentence"] for verdict in spoken)


def test_other_claims_are_paired_differences() -> None:
    found = {finding.key: finding for finding in other_claims(measured((-0.02, 0.01, 0.03)), delta=0.005)}
    assert list(found) == ["GROWTH", "DRIFT", "ENSEMBLE", "TRANSFER", "TEMPERATURE"]
    effects = {key: finding.estimate.effect for key, finding in found.items()}
    expected = {"GROWTH": 0.02, "DRIFT": 0.05, "ENSEMBLE": 0.03, "TRANSFER": 0.02, "TEMPERATURE": 0.0}
    assert effects == pytest.approx(expected, abs=1e-9)


def test_settings_are_chosen_by_students_on_validation_data_of_the_pilot() -> None:
    plan = small()
    better = plan.chains[1].grid[1]
    rows = [
        {"chain": chain.name, **vars(s), "generation": m, "val_accuracy": (0.9 if s == better else 0.8) if m else 0.1}
        for chain in plan.chains for s in chain.grid for m in range(3)
    ]  # fmt: skip
    rows += [{**row, "val_accuracy": 0.99} for row in rows if row["chain"] == "tolerant" and not row["generation"]]
    assert choose_upbringings(plan, pd.DataFrame(rows)) == {"strict": STRICT, "tolerant": better}


def test_a_finished_study_holds_what_it_says(finished: Path) -> None:
    runs = pd.read_csv(finished / "runs.csv")
    assert len(runs) == 3 * (2 * 3 + 3 * 2)
    pilot, confirm = (runs[runs["phase"] == phase] for phase in ("pilot", "confirm"))
    assert pilot["test_accuracy"].isna().all() and pilot["transfer_accuracy"].isna().all()
    assert confirm.notna().all(axis=None)
    assert set(pilot["replicate"]) == {0, 1} and set(confirm["replicate"]) == {2, 3, 4}
    table = pd.read_csv(finished / "tables" / "generations.csv")
    row = table[(table["chain"] == "tolerant") & (table["metric"] == "ensemble_accuracy") & (table["generation"] == 2)]
    wanted = confirm[(confirm["chain"] == "tolerant") & (confirm["generation"] == 2)]["ensemble_accuracy"]
    assert row["value"].item() == pytest.approx(wanted.mean()) and row["n"].item() == 3
    found = json.loads((finished / "verdicts.json").read_text())
    assert list(found) == ["H7", "H7.1", "H7.2", "GROWTH", "DRIFT", "ENSEMBLE", "TRANSFER"]
    strict, own = (
        confirm[confirm["chain"] == name].pivot(index="replicate", columns="generation", values="test_accuracy")
        for name in ("strict", "tolerant")
    )
    detail = {part["what"]: part["effect"] for part in found["H7"]["detail"]}
    assert detail["generation 0, strict - tolerant"] == pytest.approx((strict[0] - own[0]).mean())
    assert detail["generation 2, tolerant - strict"] == pytest.approx((own[2] - strict[2]).mean())
    plan = json.loads((finished / "generations.json").read_text())
    assert plan["trials"] == {"strict": 1, "tolerant": 2} and plan["provenance"]["replicates"]["confirm"] == 3
    for suffix in ("png", "svg", "csv", "json"):
        assert (finished / "figures" / f"generations.{suffix}").stat().st_size > 0


def test_chains_of_a_replicate_are_paired(finished: Path) -> None:
    """With the whole weight on the labels nothing but the chain's name differs, so all are the same network."""
    (cell,) = chain_cells(small(), 0, [Upbringing(ce_weight=1.0), Upbringing(ce_weight=1.0, k=3)], read_test=True)
    one, other = train_chains(cell, Path())
    assert one["generations"] == other["generations"]
    assert one["generations"][0] != one["generations"][1]  # and every generation starts afresh


def test_what_is_finished_is_never_trained_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (finished / "tables" / "generations.csv").read_bytes()
    monkeypatch.setattr("darkprobe.study.generations.run.train_chains", lambda cell, directory: pytest.fail("trained"))
    run_generations(small(), finished, workers=1, progress=False)
    assert (finished / "tables" / "generations.csv").read_bytes() == before
    lost = sorted((finished / "cells").glob("*.json"))[0]
    kept, cells = lost.read_text(), len(Ledger(finished)._results)
    lost.unlink()
    with pytest.raises(pytest.fail.Exception):
        run_generations(small(), finished, workers=1, progress=False)
    lost.write_text(kept)
    assert len(Ledger(finished)._results) == cells


def test_plans_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="`first_ce_weight` must lie in"):
        Upbringing(first_ce_weight=1.2, ce_weight=0.5)
    with pytest.raises(InvalidValueError, match="`chains` must be"):
        small(chains=(Chain(name="strict", grid=(STRICT,)),))
    wide = Chain(name="tolerant", grid=(Upbringing(k=21, first_ce_weight=0.5, ce_weight=0.5),))
    plan = small(chains=(Chain(name="strict", grid=(STRICT,)), wide))
    with pytest.raises(InvalidValueError, match="`k` must be at most 20, the number of classes, got 21"):
        run_generations(plan, tmp_path / "k", workers=1)
    with pytest.raises(InvalidValueError, match="`policy` must be clean"):
        run_generations(small(policy="pad4+flip"), tmp_path / "p", workers=1)
    with pytest.raises(UnknownNameError, match="cifar10"):
        find_generations("cifar11")
    with pytest.raises(InvalidValueError, match="its only one"):
        find_generations("digits", edition="2-core")


def blobs(argument: str, split: str) -> Split:
    """Small images whose colour tells the class."""
    rng = np.random.default_rng(["train", "test"].index(split))
    labels = np.arange(160) % 6
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [90, 90, 90], [200, 200, 0], [0, 200, 200]])[labels]
    pixels = (colours[:, None, None] + rng.integers(0, 50, (160, 8, 8, 3))).astype(np.uint8)
    return Split(
        dataset="generation-blobs", name=split, kind="image", inputs=pixels, labels=labels, class_names=tuple("abcdef"),
        example_ids=np.arange(160) + 1000 * ["train", "test"].index(split), source="generation-blobs",
    )  # fmt: skip


def test_networks_with_batch_norm_train_alone_and_smoke_says_so(tmp_path: Path) -> None:
    register_data("generation-blobs", read=blobs, splits=lambda argument: ("train", "test"))
    out = tmp_path / "out"
    words = ["generations", "cifar10", "--edition", "2-core", "--data", "generation-blobs", "--transfer-data",
             "generation-blobs", "--smoke", "--workers", "1", "--out", str(out)]  # fmt: skip
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[-1] == str(out / "figures" / "generations.png")
    spoken = json.loads((out / "verdicts.json").read_text())
    assert all(
        v["sentence"].startswith("Smoke run, no evidence. Scaled study: 2-core edition") for v in spoken.values()
    )
    runs = pd.read_csv(out / "runs.csv")
    assert set(runs["generation"]) == {0, 1, 2, 3} and runs["cell_id"].nunique() == 5 + 2 * 3
    assert "conditional on these images" in spoken["H7"]["unit_of_n"]


def test_dry_run_counts_and_trains_nothing() -> None:
    said = CliRunner().invoke(app, ["generations", "cifar10", "--dry-run"])
    assert said.exit_code == 0 and "resnet20" in said.stdout and "confirm" in said.stdout


@pytest.mark.parametrize("name", list(GENERATIONS))
def test_built_in_plans_test_more_than_they_choose_on(name: str) -> None:
    for plan in [find_generations(name), *([find_generations(name, edition="2-core")] if name == "cifar10" else [])]:
        assert not set(plan.pilot_replicates) & set(plan.confirm_replicates)
        assert plan.confirm >= 2 * plan.pilot and plan.count >= 4
        assert bool(plan.scaled) == plan.name.endswith("2-core")


def test_the_figure_draws_the_numbers(finished: Path) -> None:
    table = pd.read_csv(finished / "tables" / "generations.csv")
    ax = plot_generations(table, metric="test_accuracy")
    drawn = ax.containers[1].lines[0].get_ydata()  # type: ignore[attr-defined]
    wanted = table[(table["metric"] == "test_accuracy") & (table["chain"] == "tolerant")]["value"]
    assert np.allclose(np.asarray(drawn, dtype=float), wanted) and "n = 3" in ax.texts[0].get_text()
    with pytest.raises(UnknownNameError, match="test_accuracy"):
        plot_generations(table, metric="test_acuracy")
