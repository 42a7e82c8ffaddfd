"""The verbs of `darkprobe store`, in one process: what they write, the last line they print, and their refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner, Result

from darkprobe.cli import app
from darkprobe.data import load_split
from darkprobe.distill.methods import METHODS
from darkprobe.errors import DarkprobeError
from darkprobe.store import LogitStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "s"
    ran = run("extract", "mlp-8", "--seed", 1, "--data", "digits", "--split", "test", "--storage", "int8", "--out", out)
    assert ran.exit_code == 0, ran.output
    assert "effect of a float32 pass, stored as int8" in ran.stderr and "distinctness_std" in ran.stderr
    return out


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def last_line(ran: Result) -> Path:
    assert ran.exit_code == 0, ran.output
    return Path(ran.stdout.splitlines()[-1])


def test_pack_and_info_of_the_pack(store: Path, tmp_path: Path) -> None:
    packed = last_line(run("store", "pack", store, "--out", tmp_path / "p.h5"))
    shown = run("store", "info", packed)
    assert "mlp-8.s1" in shown.stdout and last_line(shown) == packed
    assert "ok" in run("store", "check", packed).stdout


def test_export_after_a_fix(store: Path, tmp_path: Path) -> None:
    entry = LogitStore(store).entries()[0]
    for fix, given in (("ts", []), ("ts", ["temperature=4"]), ("ats", ["target_temperature=4", "wrong_temperature=2"])):
        options = [word for text in given for word in ("--parameter", text)]
        path = tmp_path / f"{fix}{len(given)}{len(options)}{given[:1]}.npy"
        probs = np.load(last_line(run("store", "export", store, "--out", path, "--fix", fix, *options)))
        assert probs.shape == entry.logits.shape
        np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-5)
    assert isinstance(
        run("store", "export", store, "-o", tmp_path / "x.npy", "--parameter", "4").exception, DarkprobeError
    )


def saved(ran: Result) -> dict[str, np.ndarray]:
    return load_file(last_line(ran))


ONE_TEACHER = sorted(
    name
    for name in METHODS.match("*")
    if METHODS[name].target is not None and not {"other", "others"} & set(METHODS[name].needs)
)


@pytest.mark.parametrize("fix", ONE_TEACHER)
def test_every_target_is_exported_under_its_name_and_defaults(store: Path, tmp_path: Path, fix: str) -> None:
    (entry,), method = LogitStore(store).entries(), METHODS[fix]
    arrays = saved(run("store", "export", store, "-o", tmp_path / "t.safetensors", "--fix", fix))
    inputs = {"head_weight": np.array(entry.head_weight)} if "head_weight" in method.needs else {}
    logits, labels = np.asarray(entry.logits, np.float32), np.array(entry.labels)
    target = method.cached_target(logits, labels, inputs=inputs)
    np.testing.assert_allclose(arrays["probs"], target.probs, atol=1e-7)
    assert ("weights" in arrays) == (target.weights is not None)
    if target.weights is not None:
        np.testing.assert_allclose(arrays["weights"], target.weights, rtol=1e-6)


def test_weights_of_examples_lie_beside_plain_arrays_too(store: Path, tmp_path: Path) -> None:
    last_line(run("store", "export", store, "-o", tmp_path / "t.npy", "--fix", "wttm"))
    weights = np.load(tmp_path / "t.weights.npy")
    frame = pd.read_parquet(last_line(run("store", "export", store, "-o", tmp_path / "t.parquet", "--fix", "wttm")))
    np.testing.assert_array_equal(frame["weight"], weights)
    assert weights.std() > 0


def test_what_bound_a_search_is_said(store: Path, tmp_path: Path) -> None:
    said = run("store", "export", store, "-o", tmp_path / "t.npy", "--fix", "isats").stderr
    assert "% of 597 examples" in said


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two") / "s"
    for seed in (1, 2):
        last_line(run("extract", "mlp-8", "--seed", seed, "--data", "digits", "--split", "test", "--out", out))
    return out


class TestExportOfSeveral:
    def test_fused_and_swapped_teachers(self, two: Path, tmp_path: Path) -> None:
        models = ("--model", "mlp-8.s1", "--model", "mlp-8.s2")
        first, second = (LogitStore(two).entries(model=name)[0] for name in models[1::2])
        soft = [np.exp(e.logits / 4) / np.exp(e.logits / 4).sum(-1, keepdims=True) for e in (first, second)]
        fused = saved(run("store", "export", two, "-o", tmp_path / "f.safetensors", "--fix", "fused-probs", *models))
        np.testing.assert_allclose(fused["probs"], (soft[0] + soft[1]) / 2, atol=1e-6)
        swapped = saved(run("store", "export", two, "-o", tmp_path / "s.safetensors", "--fix", "cf-swap", *models))
        rows = np.arange(len(first.labels))
        np.testing.assert_allclose(swapped["probs"][rows, first.labels], soft[0][rows, first.labels], atol=1e-6)

    def test_refusals(self, two: Path, store: Path, tmp_path: Path) -> None:
        out = ("-o", tmp_path / "x.npy")
        models = ("--model", "mlp-8.s1", "--model", "mlp-8.s2")
        for said, arguments in {
            "'fused-probs' takes two teachers or more, got 1": (store, "--fix", "fused-probs"),
            "'ats' takes one teacher, got 2": (two, "--fix", "ats", *models),
            "'ts' takes one teacher, got 2": (two, "--fix", "ts", *models),
            "must act on the target, got 'dkd', which acts on the loss": (store, "--fix", "dkd"),
            "unknown target transform 'nosuch'": (store, "--fix", "nosuch"),
            "one file of clean examples a model, got mlp-8.s1": (two,),
        }.items():
            assert said in str(run("store", "export", *arguments, *out).exception)

    def test_a_sparse_file_gives_what_it_was_made_for(self, tmp_path: Path) -> None:
        kept = ("--top-k", 4, "--temperatures", "2,4")
        last_line(
            run("extract", "mlp-8", "--seed", 1, "--data", "digits", "--split", "test", *kept, "-o", tmp_path / "s")
        )
        last_line(run("extract", "mlp-8", "--seed", 1, "--data", "digits", "--split", "test", "-o", tmp_path / "d"))
        sparse, dense = (
            saved(run("store", "export", tmp_path / name, "-o", tmp_path / f"{name}.safetensors", "--fix", "kd-pt"))
            for name in "sd"
        )
        np.testing.assert_allclose(sparse["probs"], dense["probs"], atol=1e-6)
        refused = run("store", "export", tmp_path / "s", "-o", tmp_path / "x.npy", "--fix", "ats").exception
        assert "must hold all classes for method 'ats'" in str(refused)


def test_import_of_what_was_exported(store: Path, tmp_path: Path) -> None:
    path = last_line(run("store", "export", store, "--out", tmp_path / "t.parquet"))
    frame = __import__("pandas").read_parquet(path)
    split = load_split("digits", "test")
    np.testing.assert_array_equal(frame.example_id, split.example_ids)
    words = ("--values", "probs", "--model", "theirs.x", "--parameters", 10, "--data", "digits", "--split", "test")
    written = last_line(run("store", "import", path, *words, "--out", tmp_path / "s"))
    (entry,) = LogitStore(written).entries()
    ours = LogitStore(store).entries()[0].logits.astype(np.float64)
    ours -= np.log(np.exp(ours).sum(-1, keepdims=True))
    np.testing.assert_allclose(entry.logits, ours, atol=1e-4)
    assert entry.card.values == "log_probs" and entry.card.model_id == "theirs.x"


def test_replay(store: Path) -> None:
    ran = run("store", "check", store, "--replay", "--model", "mlp-8", "--seed", 1, "--rows", 200)
    assert ran.exit_code == 0 and "0 of 200 rows run again differ; with 99% confidence at most 2.28%" in ran.stdout
    ran = run("store", "check", store, "--replay", "--model", "mlp-8", "--seed", 2)
    assert "holds no logits of the weights of mlp-8" in str(ran.exception)
    assert "`--model` must be given" in str(run("store", "check", store, "--replay").exception)


def test_info_survives_a_damaged_file_and_names_it(store: Path, tmp_path: Path) -> None:
    both = tmp_path / "s"
    shutil.copytree(store, both)
    ran = run("extract", "mlp-16", "--seed", 1, "--data", "digits", "--split", "test", "--out", both)
    damaged = last_line(ran)
    damaged.write_bytes(damaged.read_bytes()[:300])
    shown = run("store", "info", both)
    assert shown.exit_code == 1
    assert "mlp-8.s1" in shown.stdout and "mlp-16.s1" not in shown.stdout
    assert f"BAD  {damaged}" in shown.stderr
    checked = run("store", "check", both)
    assert checked.exit_code == 1 and f"BAD  {damaged}" in checked.stdout


def test_profile_of_a_sparse_store(tmp_path: Path) -> None:
    sparse = ("--top-k", 8, "--temperatures", "2,4")
    ran = run("extract", "mlp-8", "--seed", 1, "--data", "synthetic", "--split", "test", *sparse, "--out", tmp_path)
    assert "not known from this file" in ran.stderr
    shown = run("profile", tmp_path, "--temperatures", "4", "--json", tmp_path / "p.json")
    assert shown.exit_code == 0, shown.output
    rows = json.loads((tmp_path / "p.json").read_text())
    metrics = {row["metric"] for row in rows}
    assert {"accuracy", "nll", "distinctness_std", "ece"} <= metrics
    assert "entropy" not in metrics
    refused = run("profile", tmp_path, "--temperatures", "4", "--metric", "entropy")
    assert isinstance(refused.exception, DarkprobeError)
    assert "it needs every class" in str(refused.exception)
