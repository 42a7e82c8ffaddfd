"""Names, parameters, combinations, and the commands that show them."""

import dataclasses

import pytest
import torch
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.distill.losses import cross_entropy, kd, wttm
from darkprobe.distill.methods import METHODS, Method, Parameter, register_method, resolve_method

LOGITS = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
STUDENT, TEACHER = LOGITS
LABELS = torch.arange(8) % 4


def test_kd_is_cached_at_student_temperature_one_only() -> None:
    method = METHODS["kd"]
    assert method.is_cached()
    hinton = {"temperature": 4.0, "student_temperature": 4.0}
    assert not method.is_cached(hinton)
    with pytest.raises(ValueError, match="cached_target: `method` must have a fixed target at student temperature 1"):
        method.cached_target(TEACHER, LABELS, parameters=hinton)
    both = (
        METHODS["kd"].teacher_term(STUDENT, TEACHER, LABELS, parameters=hinton),
        METHODS["kd-hinton"].teacher_term(STUDENT, TEACHER, LABELS, parameters={"temperature": 4.0}),
    )
    torch.testing.assert_close(*both)


def test_the_objective_weights_labels_and_teacher() -> None:
    method = METHODS["kd"]
    expected = 0.1 * cross_entropy(STUDENT, LABELS) + 0.9 * kd(STUDENT, TEACHER, temperature=8.0)
    torch.testing.assert_close(method.objective(STUDENT, TEACHER, LABELS, parameters={"temperature": 8.0}), expected)
    expected = cross_entropy(STUDENT, LABELS) + 3.0 * wttm(STUDENT, TEACHER, gamma=0.1)
    torch.testing.assert_close(METHODS["wttm"].objective(STUDENT, TEACHER, LABELS, parameters={"gamma": 0.1}), expected)
    torch.testing.assert_close(METHODS["none"].objective(STUDENT, TEACHER, LABELS), cross_entropy(STUDENT, LABELS))


def test_wttm_caches_its_weights() -> None:
    target = METHODS["wttm"].cached_target(TEACHER, LABELS, parameters={"gamma": 0.5})
    torch.testing.assert_close(target.weights, (TEACHER.softmax(-1) ** 0.5).sum(-1))
    assert METHODS["ttm"].cached_target(TEACHER, LABELS).weights is None


def test_parameters_are_checked_by_name_range_and_kind() -> None:
    with pytest.raises(KeyError, match=r"unknown parameter of method 'kd' 'temperatur'. Did you mean 'temperature'"):
        METHODS["kd"].resolved({"temperatur": 4.0})
    with pytest.raises(ValueError, match=r"kd: `temperature` must lie in \[0.01, 1000\], got 0.0"):
        METHODS["kd"].resolved({"temperature": 0.0})
    with pytest.raises(ValueError, match="kd: `temperature` must lie in"):
        METHODS["kd"].resolved({"temperature": float("nan")})
    with pytest.raises(KeyError, match=r"unknown ats center 'meen'. Did you mean 'mean'"):
        METHODS["ats"].resolved({"center": "meen"})
    with pytest.raises(TypeError, match="ats: `wrong_temperature` must be a number, got '2'"):
        METHODS["ats"].resolved({"wrong_temperature": "2"})
    with pytest.raises(ValueError, match=r"kd-topk: `k` must be a whole number in \[1, 1e\+06\], got 2.5"):
        METHODS["kd-topk"].resolved({"k": 2.5})


def test_what_a_method_needs_must_be_given_exactly() -> None:
    with pytest.raises(ValueError, match=r"`inputs` must hold exactly \['head_weight'\] for method 'kd-sim', got \[\]"):
        METHODS["kd-sim"].cached_target(TEACHER, LABELS)
    with pytest.raises(ValueError, match=r"must hold exactly \[\] for method 'ats', got \['others'\]"):
        METHODS["ats"].cached_target(TEACHER, LABELS, inputs={"others": TEACHER})


def test_log_probs_are_refused_by_two_temperatures_and_welcome_elsewhere() -> None:
    log_probs = TEACHER.log_softmax(-1)
    for name in ("ats", "isats", "isats-literal"):
        with pytest.raises(ValueError, match='must be "mean" for log-probabilities'):
            METHODS[name].cached_target(log_probs, LABELS, values="log_probs")
        METHODS[name].cached_target(log_probs, LABELS, parameters={"center": "mean"}, values="log_probs")
    METHODS["kd"].cached_target(log_probs, LABELS, values="log_probs")


def test_registering_twice_or_with_a_plus_is_refused() -> None:
    with pytest.raises(ValueError, match="method name must be new, got 'kd'"):
        register_method(METHODS["kd"])
    with pytest.raises(ValueError, match=r'register_method: `name` must not hold "\+"'):
        register_method(dataclasses.replace(METHODS["kd"], name="kd+crd"))


def test_a_method_of_ones_own_takes_one_function_and_one_record() -> None:
    def distance(
        student_logits: torch.Tensor, teacher_logits: torch.Tensor, labels: torch.Tensor, *, power: float
    ) -> torch.Tensor:
        gap = student_logits.softmax(-1) - teacher_logits.detach().softmax(-1)
        return gap.abs().pow(power).sum(-1).mean(-1)

    mine = Method(
        name="squared-distance",
        kind="loss",
        summary="Squared distance.",
        formula="sum (q - p)^a",
        loss=distance,
        parameters=(Parameter(name="power", default=2.0, low=1.0, high=4.0),),
        source="a test",
        certainty="design",
    )
    value = mine.objective(STUDENT, TEACHER, LABELS, parameters={"power": 2.0})
    expected = cross_entropy(STUDENT, LABELS) + (STUDENT.softmax(-1) - TEACHER.softmax(-1)).square().sum(-1).mean()
    torch.testing.assert_close(value, expected)


def test_unknown_names_come_with_near_ones() -> None:
    with pytest.raises(KeyError, match=r"unknown method 'wtm'\. Did you mean .*'wttm'"):
        resolve_method("wtm")
    with pytest.raises(ValueError, match="must join at most one method on logits"):
        resolve_method("kd+wttm")


def test_a_single_name_is_a_combination_of_one() -> None:
    alone = resolve_method("wttm")
    assert alone.logit is METHODS["wttm"] and alone.features == ()
    assert alone.split({"gamma": 0.5}) == {"wttm": {"gamma": 0.5}}
    with pytest.raises(KeyError, match="unknown parameter of method 'wttm' 'temperature'"):
        alone.split({"temperature": 1.0})


@pytest.mark.parametrize("command", [["list"], ["list", "isats*"], ["show", "wttm"], ["list", "--kind", "teacher"]])
def test_the_commands_print_the_records(command: list[str]) -> None:
    result = CliRunner().invoke(app, ["methods", *command], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    names = {"list": ["isats-literal"], "show": ["U_g(p) D(p^ || q)", "gamma", "arXiv 2402.11148", "text"]}
    wanted = ["tolerant"] if "--kind" in command else names[command[0]]
    assert all(word in result.output for word in wanted)


def test_show_takes_combinations() -> None:
    result = CliRunner().invoke(app, ["methods", "show", "wttm+crd"], env={"COLUMNS": "200"})
    assert "U_g(p) D(p^ || q)" in result.output
    assert "negatives" in result.output


def test_show_names_near_methods() -> None:
    result = CliRunner().invoke(app, ["methods", "show", "wttn"])
    assert result.exit_code == 1
    assert "Did you mean 'wttm'" in str(result.exception)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_show_prints_every_record_in_full(name: str) -> None:
    """Nothing is cut, and formula, convention, parameters with the source's values, source and certainty are there."""
    from typer.testing import CliRunner

    from darkprobe.cli import app

    method = METHODS[name]
    done = CliRunner().invoke(app, ["methods", "show", name])
    assert done.exit_code == 0 and "…" not in done.stdout
    text = "".join(done.stdout.split())
    told = [method.formula, method.convention.reduction, method.convention.alpha, method.source, method.certainty]
    told += [f"--method{name}", *(parameter.name for parameter in method.parameters)]
    for words in told if name != "eskd" else told[:5]:
        assert "".join(words.split()) in text, words
