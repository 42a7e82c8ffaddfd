"""The training loop: a stack learns what its members learn alone; the same seed gives the same bits."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from darkprobe.distill import Solo, Stack, TrainConfig, fit
from darkprobe.distill.loop import History, epoch_order
from darkprobe.errors import InvalidValueError

INPUTS = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS @ torch.randn(6, 3, generator=torch.Generator().manual_seed(1))).argmax(-1)
CONFIG = TrainConfig(epochs=4, batch_size=20, learning_rate=0.05, evaluations=4)


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))


def loss(logits: Tensor, index: Tensor) -> Tensor:
    target = LABELS[index].expand(logits.shape[:-1])
    return functional.cross_entropy(logits.transpose(1, 2), target, reduction="none").mean(-1)


def accuracy(net: Solo | Stack) -> Tensor:
    inputs = INPUTS.expand(net.members, -1, -1) if net.own_inputs else INPUTS
    return (net(inputs).argmax(-1) == LABELS).float().mean(-1)


def train(net: Solo | Stack, *, seeds: tuple[int, ...] = (7,), config: TrainConfig = CONFIG) -> History:
    return fit(
        net, lambda index, epoch: INPUTS[index], loss, config=config, examples=120, order_seeds=seeds, evaluate=accuracy
    )


def test_members_of_a_stack_learn_what_they_learn_alone() -> None:
    stack = Stack([network(s) for s in range(3)])
    together = train(stack)
    for i in range(3):
        solo = Solo(network(i))
        alone = train(solo)
        for a, b in zip(solo.module.parameters(), stack.member(i).parameters(), strict=True):
            torch.testing.assert_close(a.detach(), b.detach(), atol=2e-5, rtol=1e-4)
        np.testing.assert_allclose(together.scores[:, i], alone.scores[:, 0], atol=1e-6)


def test_members_with_their_own_batches_learn_what_they_learn_alone() -> None:
    stack = Stack([network(s) for s in range(2)], own_inputs=True)
    train(stack, seeds=(3, 4))
    for i, seed in enumerate((3, 4)):
        solo = Solo(network(i))
        train(solo, seeds=(seed,))
        for a, b in zip(solo.module.parameters(), stack.member(i).parameters(), strict=True):
            torch.testing.assert_close(a.detach(), b.detach(), atol=2e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = Stack([network(0)] * 2), Stack([network(0)] * 2)
    train(first)
    train(second)
    assert all(torch.equal(first.state()[name], second.state()[name]) for name in first.state())


def test_it_learns() -> None:
    stack = Stack([network(0)])
    before = float(accuracy(stack)[0])
    history = train(stack, config=TrainConfig(epochs=30, batch_size=20, learning_rate=0.05))
    assert history.scores[-1, 0] > max(0.9, before)
    assert history.losses[-1, 0] < history.losses[0, 0]


def test_selected_state_is_the_one_with_the_best_score() -> None:
    stack = Stack([network(s) for s in range(3)])
    history = train(stack)
    stack.load_state(history.selected)
    np.testing.assert_allclose(accuracy(stack).numpy(), history.scores.max(0), atol=1e-6)
    first_best = history.steps[history.scores.argmax(0)]
    assert (history.selected_step == first_best).all()


@pytest.mark.parametrize("schedule", ["one-cycle", "multi-step", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_every_schedule_and_optimiser_runs(schedule: str, optimizer: str) -> None:
    config = TrainConfig(
        epochs=6,
        batch_size=20,
        learning_rate=0.02,
        schedule=schedule,
        optimizer=optimizer,
        milestones=(4,),
        warmup_epochs=1,
    )  # type: ignore[arg-type]
    history = train(Solo(network(0)), config=config)
    assert np.isfinite(history.losses).all() and history.losses[-1, 0] < 1.5


def test_batch_norm_cannot_be_stacked_and_trains_alone() -> None:
    def with_norm() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    with pytest.raises(InvalidValueError, match="must have no buffers"):
        Stack([with_norm(), with_norm()])
    solo = Solo(with_norm())
    assert train(solo, config=TrainConfig(epochs=10, batch_size=20, learning_rate=0.05)).scores[-1, 0] > 0.8


def test_epoch_orders_are_keyed_by_seed_and_epoch() -> None:
    assert sorted(epoch_order(1, 0, 50)) == list(range(50))
    assert (epoch_order(1, 0, 50) == epoch_order(1, 0, 50)).all()
    assert not (epoch_order(1, 0, 50) == epoch_order(1, 1, 50)).all()
    assert not (epoch_order(1, 0, 50) == epoch_order(2, 0, 50)).all()


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("learning_rate", -1.0), ("batch_size", 0)])
def test_a_config_that_cannot_train_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=f"`{name}` must be"):
        TrainConfig(**{"epochs": 1, "batch_size": 8, "learning_rate": 0.1, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("own_inputs", [False, True])
@pytest.mark.parametrize("name", ["mlp-16", "mlp1-8"])
def test_batched_perceptrons_are_the_members_alone(name: str, own_inputs: bool) -> None:
    """Logits and slopes of a stack against those of its members as ordinary modules."""
    from darkprobe.distill.batched import batched_run
    from darkprobe.distill.stack import Stack
    from darkprobe.zoo import build_module

    modules = [build_module(name, input_shape=(1, 8, 8), num_classes=10, seed=seed) for seed in range(3)]
    assert batched_run(modules[0], own_inputs=own_inputs) is not None
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(*((3,) if own_inputs else ()), 20, 1, 8, 8, generator=generator)
    stack = Stack(modules, own_inputs=own_inputs)
    logits = stack(inputs)
    logits.square().sum().backward()
    for number, module in enumerate(modules):
        alone = module(inputs[number] if own_inputs else inputs)
        torch.testing.assert_close(logits[number], alone)
        alone.square().sum().backward()
        for whole, own in zip(stack.parameters(), module.parameters(), strict=True):
            assert whole.grad is not None
            torch.testing.assert_close(whole.grad[number], own.grad)


def test_other_modules_are_left_to_vmap() -> None:
    from darkprobe.distill.batched import batched_run

    class Odd(torch.nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs) * 2  # type: ignore[no-any-return]

    others = (
        Odd(torch.nn.Linear(4, 3)),
        torch.nn.Linear(4, 3),
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)),
        torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False)),
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1)),
    )
    for module in others:
        assert batched_run(module, own_inputs=False) is None
