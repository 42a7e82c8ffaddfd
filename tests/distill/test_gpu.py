"""On a GPU: the same networks, pixels and logits as on the processor, and a recorded pass that is the pass itself."""

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from darkprobe.data import Split, register_data
from darkprobe.data.policy import parse_policy
from darkprobe.distill import Checkpoint, DistillConfig, Solo, TrainConfig, distill, fit
from darkprobe.distill.graduation import accuracy, answers
from darkprobe.distill.inputs import StudentInputs
from darkprobe.distill.methods import resolve_method
from darkprobe.distill.recording import Recording
from darkprobe.distill.teachers import parse_recipe, train_model
from darkprobe.extract import extract_logits
from darkprobe.store import LogitFile, LogitStore
from darkprobe.study import MethodPlan, Study, run_study
from darkprobe.study.parts import for_smoke
from darkprobe.zoo import ARCHITECTURES, Model, build_module, list_models, load_model, preprocess

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CONFIG = TrainConfig(
    epochs=3, batch_size=32, learning_rate=0.05, optimizer="sgd", weight_decay=5e-4, schedule="one-cycle",
    evaluations=3, precision="float32",
)  # fmt: skip


def blobs(argument: str, split: str) -> Split:
    """Small images whose colour tells the class."""
    rng = np.random.default_rng(["train", "test"].index(split))
    labels = np.arange(320) % 4
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [90, 90, 90]])[labels]
    pixels = (colours[:, None, None] + rng.integers(0, 50, (320, 32, 32, 3))).astype(np.uint8)
    return Split(
        dataset="gpu-blobs", name=split, kind="image", inputs=pixels, labels=labels, class_names=tuple("rgbx"),
        example_ids=np.arange(320) + 1000 * ["train", "test"].index(split), source="gpu-blobs",
    )  # fmt: skip


TRAIN, TEST = blobs("", "train"), blobs("", "test")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register_data("gpu-blobs", read=blobs, splits=lambda argument: ("train", "test"))


def gradients(module: torch.nn.Module, run: Callable[[Tensor], Tensor], inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    module.zero_grad(set_to_none=True)
    logits = run(inputs)
    torch.autograd.backward(logits.float().square().mean())
    return logits.detach().clone(), [cast(Tensor, p.grad).clone() for p in module.parameters()]


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("name", list_models())
def test_a_recorded_pass_is_the_pass(name: str, coarse: bool) -> None:
    """Logits and gradients on batches that were not recorded, and every buffer as it would have been."""
    shape = ARCHITECTURES[name].example_shape
    module = build_module(name, input_shape=shape, num_classes=7, seed=0).cuda().train()
    if len(shape) == 3:
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = copy.deepcopy(module)
    batches = torch.randn(3, 16, *shape, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    random = torch.cuda.get_rng_state()
    run = Recording(module, batches[0], coarse=coarse)

    def unrecorded(batch: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=coarse):
            logits: Tensor = plain(batch)
        return logits

    assert torch.equal(torch.cuda.get_rng_state(), random)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    for batch in batches[1:]:
        logits, found = gradients(module, run, batch)
        expected, wanted = gradients(plain, unrecorded, batch)
        loose = 0.1 if coarse else 1e-2  # else TF32 and other algorithms alone
        torch.testing.assert_close(logits, expected, rtol=loose, atol=loose)
        for gradient, other, parameter in zip(found, wanted, module.parameters(), strict=True):
            assert gradient.stride() == parameter.stride()
            assert (gradient - other).norm() <= 5 * loose * other.norm() + loose / 10
    for (key, value), other in zip(module.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, rtol=loose, atol=loose, msg=key)


def history_of(
    *, replay: bool, checkpoint: Checkpoint | None = None, stop_at: int = -1
) -> tuple[Solo, np.ndarray, list[int]]:
    """The network, its losses and, in a list, how many steps were taken."""
    module = build_module("resnet8", input_shape=(3, 32, 32), num_classes=4, seed=0).cuda()
    network, seen = Solo(module.to(memory_format=torch.channels_last)), [0]
    card = load_model("resnet8", input_shape=(3, 32, 32), num_classes=4, seed=0).card
    inputs = StudentInputs(
        TRAIN, preprocessing=card.preprocessing, policy=parse_policy("pad4+flip"), view_seed=0, device="cuda"
    )
    labels = torch.from_numpy(TRAIN.labels).cuda()

    def loss(logits: Tensor, index: Tensor) -> Tensor:
        seen[0] += 1
        if seen[0] == stop_at:
            raise KeyboardInterrupt
        return functional.cross_entropy(logits[0], labels[index])[None]

    history = fit(
        network, inputs, loss, config=CONFIG, examples=len(TRAIN), order_seeds=(0,), checkpoint=checkpoint,
        evaluate=lambda _: torch.tensor([accuracy(answers(module, TEST, card.preprocessing), TEST)]),
        replay=replay,
    )  # fmt: skip
    return network, history.losses[:, 0], seen


def test_replay_learns_what_the_plain_loop_learns_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    _, plain, _ = history_of(replay=False)
    network, replayed, steps = history_of(replay=True)
    assert replayed[-1] < 0.1 and np.abs(plain - replayed).max() < 0.1 and steps == [30]
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x", every_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        history_of(replay=True, checkpoint=checkpoint, stop_at=17)
    _, resumed, left = history_of(replay=True, checkpoint=checkpoint)
    assert np.abs(resumed - replayed).max() < 0.1 and left == [14]
    network.train(mode=True)
    one, other = (network(torch.full((rows, 3, 32, 32), 0.5, device="cuda")) for rows in (4, 5))
    assert (len(one[0]), len(other[0])) == (4, 5), "the recording ends with the loop"


def test_images_of_a_view_that_is_kept_are_those_of_the_processor() -> None:
    preprocessing = load_model("resnet8", input_shape=(3, 32, 32), num_classes=4, seed=0).card.preprocessing
    index = torch.tensor([300, 5, 17])
    for text in ("clean", "pad4+flip", "pad4+flip+mixup1"):
        here, there = (
            StudentInputs(
                TRAIN, preprocessing=preprocessing, policy=parse_policy(text), view_seed=7, count=2, device=device
            )
            for device in ("cpu", "cuda")
        )
        for epoch in range(3):
            torch.testing.assert_close(there(index, epoch).cpu(), here(index, epoch))


@pytest.fixture(scope="module")
def teacher() -> Model:
    return train_model(
        "resnet20", TRAIN, TEST, recipe=parse_recipe("plain"), config=CONFIG, policy=parse_policy("pad4+flip"), seed=0
    ).model


def test_stored_float32_logits_are_those_of_the_processor(teacher: Model, tmp_path: Path) -> None:
    """TF32 would miss by a hundred times as much."""
    inputs = preprocess(TEST.inputs, teacher.card.preprocessing)
    with torch.no_grad():
        expected = copy.deepcopy(teacher.module).cpu().eval()(inputs)
    store = LogitStore(tmp_path, create=True)
    extract_logits(teacher, TEST, store, progress=False)
    (entry,) = store.entries(TEST.dataset, "test")
    assert entry.attributes["guarantee"] == "to rounding"
    np.testing.assert_allclose(np.array(entry.logits), expected.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("method", ["kd", "ttm", "dkd", "ctkd", "dist", "sckd+kd", "kd+fitnet", "kd+crd"])
def test_a_student_learns_on_the_gpu(method: str, live: bool, teacher: Model, tmp_path: Path) -> None:
    source: Model | LogitFile = teacher
    if not live:
        if resolve_method(method).features:
            pytest.skip("features are not stored here")
        store = LogitStore(tmp_path, create=True)
        extract_logits(teacher, TRAIN, store, progress=False, views=3, policy="pad4+flip")
        (source,) = store.entries(TRAIN.dataset, "train")
    config = DistillConfig(method=method, training=dataclasses.replace(CONFIG, epochs=6), policy="pad4+flip")
    found = distill("resnet8", TRAIN, source, val=TEST, test=TEST, config=config)
    assert found.val_last > 0.4 and found.test_last == found.val_last, "chance is .25; few steps do for this"
    assert next(teacher.module.parameters()).device.type == "cpu"
    assert next(found.model.module.parameters()).device.type == "cpu"


def test_a_study_of_images_runs_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[str] = []

    def record(network: Solo, inputs: Tensor, *, coarse: bool) -> None:
        recorded.append(inputs.device.type)

    monkeypatch.setattr(Solo, "record", record)
    training = dataclasses.replace(CONFIG, precision="auto")
    study = Study(
        name="gpu", data="gpu-blobs", train="train", val="test", test="test", policy="pad4+flip", views=2,
        teachers=("resnet8", "resnet14"), student="resnet8", teacher_training=training, student_training=training,
        reference=MethodPlan(method="kd", grid=({"temperature": 2.0}, {"temperature": 4.0}), teacher_weight=0.9),
        fixes=(MethodPlan(method="ttm", grid=({"gamma": 0.5}, {"gamma": 0.25})),),
        pilot=1, confirm=2, twins=0,
    )  # fmt: skip
    run_study(for_smoke(study), tmp_path, workers=1, progress=False)
    assert (tmp_path / "verdicts.json").exists()
    cells = [json.loads(path.read_text()) for path in (tmp_path / "cells").glob("*.json")]
    trained = [len(cell["members"]) for cell in cells if cell["kind"] in ("teachers", "students")]
    assert recorded == ["cuda"] * sum(trained)
