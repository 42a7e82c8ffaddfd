"""The verbs of `darkprobe store`, in one process: what they write, the last line they print, and their refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from darkprobe.cli import app
from darkprobe.data import load_split
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
