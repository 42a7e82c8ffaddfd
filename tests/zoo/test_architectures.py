"""Names, builders and sizes of the built-in networks."""

import math

import pytest
import torch

from darkprobe.data import load_split
from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.zoo import (
    ARCHITECTURES,
    build_module,
    count_parameters,
    find_architecture,
    list_models,
    load_model,
    register_model,
)
from darkprobe.zoo.architectures import DIGITS_MEAN, DIGITS_STD, preprocessing_for
from darkprobe.zoo.flops import count_flops
from darkprobe.zoo.listing import describe_models
from darkprobe.zoo.mlp import MLP


@pytest.mark.parametrize("name", list_models())
def test_every_listed_network_answers_for_its_own_input(name: str) -> None:
    shape = ARCHITECTURES[name].example_shape
    with torch.device("meta"):  # shapes only: the largest networks would take seconds
        module = ARCHITECTURES[name].build(shape, 7).eval()
        assert module(torch.empty(2, *shape)).shape == (2, 7)


def test_same_seed_same_weights_and_the_global_state_is_untouched() -> None:
    before = torch.get_rng_state()
    first, again, other = (build_module("mlp-16", input_shape=(50,), num_classes=4, seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_weights_do_not_depend_on_the_global_seed() -> None:
    torch.manual_seed(1)
    first = build_module("conv8-4", input_shape=(1, 8, 8), num_classes=4, seed=0)
    torch.manual_seed(2)
    again = build_module("conv8-4", input_shape=(1, 8, 8), num_classes=4, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("depth", "published"), [(20, 269722), (32, 464154), (44, 658586), (56, 853018), (110, 1727962)]
)
def test_cifar_resnets_have_the_published_number_of_parameters(depth: int, published: int) -> None:
    module = build_module(f"resnet{depth}", input_shape=(3, 32, 32), num_classes=10, seed=0)
    assert count_parameters(module) == published


@pytest.mark.parametrize(("width", "hidden"), [(8, 2), (32, 2), (16, 1)])
def test_perceptron_size_is_that_of_its_matrices(width: int, hidden: int) -> None:
    by_hand = 64 * width + width + (hidden - 1) * (width * width + width) + width * 10 + 10
    assert count_parameters(MLP((1, 8, 8), 10, width=width, hidden=hidden)) == by_hand


def test_a_size_that_is_not_listed_is_understood() -> None:
    assert "mlp-24" not in list_models()
    assert find_architecture("mlp-24").line == "mlp"
    assert build_module("mlp-24", input_shape=(5,), num_classes=2, seed=0)(torch.zeros(3, 5)).shape == (3, 2)


def test_stacked_networks_give_what_they_give_alone() -> None:
    modules = [build_module("conv8-4", input_shape=(1, 8, 8), num_classes=10, seed=s) for s in range(3)]
    parameters, buffers = torch.func.stack_module_state(modules)
    images = torch.rand(5, 1, 8, 8)
    together = torch.func.vmap(
        lambda p, b: torch.func.functional_call(modules[0], (p, b), (images,)), randomness="error"
    )(parameters, buffers)
    alone = torch.stack([module(images) for module in modules])
    torch.testing.assert_close(together, alone)


def test_flops_of_a_perceptron_are_its_matrix_sizes() -> None:
    module = build_module("mlp-32", input_shape=(1, 8, 8), num_classes=10, seed=0)
    assert load_model("mlp-32", input_shape=(1, 8, 8), num_classes=10, seed=0).card.flops == count_flops(
        module, (1, 8, 8)
    )
    assert count_flops(module, (1, 8, 8)) == 64 * 32 + 32 * 32 + 32 * 10


def test_flops_of_resnet20_are_the_sum_over_its_convolutions() -> None:
    stem = 32 * 32 * 9 * 3 * 16
    stages = sum(
        (32 // scale) ** 2 * 9 * (width_in * width + 5 * width * width)
        for scale, width_in, width in [(1, 16, 16), (2, 16, 32), (4, 32, 64)]
    )
    module = build_module("resnet20", input_shape=(3, 32, 32), num_classes=10, seed=0)
    assert count_flops(module, (3, 32, 32)) == stem + stages + 640


def test_list_shows_what_was_asked_for() -> None:
    rows = describe_models("resnet?*")
    assert [row.name for row in rows] == list_models("resnet?*")
    assert {row.name: row.parameters for row in rows}["resnet20"] == 269722
    assert describe_models("nothing*") == []


def test_unknown_name_gives_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'resnet-20'.*Did you mean .*resnet20"):
        build_module("resnet-20", input_shape=(3, 32, 32), num_classes=10, seed=0)


def test_depth_that_no_resnet_has_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"depth of resnet21 must be 6n \+ 2, got 21. The nearest is 20"):
        find_architecture("resnet21")


def test_features_for_a_convolutional_network_are_refused() -> None:
    with pytest.raises(DataError, match=r"`input_shape` of resnet20 must be \(channel, height, width\), got \(50,\)"):
        build_module("resnet20", input_shape=(50,), num_classes=10, seed=0)


def test_one_class_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="`num_classes` must be at least 2, got 1"):
        build_module("mlp-8", input_shape=(50,), num_classes=1, seed=0)


def test_images_too_small_for_the_ladder_are_refused() -> None:
    with pytest.raises(DataError, match="at least 4x4 pixels, got 2x2"):
        build_module("conv8-4", input_shape=(1, 2, 2), num_classes=3, seed=0)


def test_taken_names_and_names_with_separators_are_refused() -> None:
    def build(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        return torch.nn.Linear(math.prod(shape), classes)

    with pytest.raises(InvalidValueError, match="'mlp-8', which is taken"):
        register_model("mlp-8", line="x", build=build)
    with pytest.raises(InvalidValueError, match="letters, digits"):
        register_model("my.net", line="x", build=build)


def test_digits_constants_are_those_of_digits() -> None:
    pixels = [load_split("digits", split).inputs for split in ("train", "val", "test")]
    values = torch.cat([torch.from_numpy(part).flatten() for part in pixels]).double() / 255
    assert DIGITS_MEAN[0] == pytest.approx(values.mean().item(), abs=1e-6)
    assert DIGITS_STD[0] == pytest.approx(values.std(correction=0).item(), abs=1e-6)


def test_preprocessing_follows_the_shape() -> None:
    mlp = find_architecture("mlp-8")
    assert preprocessing_for(mlp, (50,)).mean == ()
    assert preprocessing_for(mlp, (1, 8, 8)).mean == DIGITS_MEAN
    assert preprocessing_for(mlp, (1, 28, 28)).std == (0.5,)
    assert preprocessing_for(mlp, (3, 32, 32)).mean == (0.485, 0.456, 0.406)
    assert len(preprocessing_for(mlp, (4, 32, 32)).mean) == 4


def test_a_network_that_was_lent_to_a_device_comes_home_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model, places = load_model("mlp-8", input_shape=(5,), num_classes=2, seed=0), []
    monkeypatch.setattr(model.module, "to", lambda device: places.append(str(device)))
    with pytest.raises(ZeroDivisionError), model.lent_to("cuda:1"):
        _ = 1 / len([place for place in places if place == "cpu"])
    assert places == ["cuda:1", "cpu"]
