"""bfloat16 is chosen where the processor says that it computes in it, and only where a run asks for "auto"."""

from pathlib import Path

import pytest

from darkprobe.distill import RECIPES, TrainConfig, precision
from darkprobe.errors import DarkprobeError

CASES = {
    "flags\t\t: fpu sse avx avx2 fma\n": False,
    "flags\t\t: fpu avx2 avx512f avx512_bf16\n": True,
    "flags\t\t: fpu avx512f amx_bf16 amx_tile\n": True,
    "processor : 0\nFeatures\t: fp asimd i8mm bf16\n": True,
    "processor : 0\nmodel name : bf16 avx512_bf16\n": False,
}


@pytest.mark.parametrize(("text", "has"), CASES.items())
def test_what_linux_says_decides(text: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    flags = precision.processor_flags(tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "processor_flags", lambda: flags)
    precision.has_bfloat16.cache_clear()
    try:
        assert precision.has_bfloat16("cpu") == has
        assert precision.resolved_precision("auto", "cpu") == ("bfloat16" if has else "float32")
        for asked in ("float32", "bfloat16"):
            assert precision.resolved_precision(asked, "cpu") == asked  # type: ignore[arg-type]
    finally:
        precision.has_bfloat16.cache_clear()


def test_other_systems_stay_with_float32(tmp_path: Path) -> None:
    assert precision.processor_flags(tmp_path / "absent") == set()
    assert not precision.has_bfloat16("some-other-device")


def test_the_fields_recipes_leave_it_to_the_processor_and_the_plan_says_what_was_used(tmp_path: Path) -> None:
    from darkprobe.cli.distill import training_of
    from darkprobe.data import load_split

    assert {name for name in RECIPES if RECIPES[name].training.precision == "auto"} == {"ats", "crd", "fast"}
    none = dict.fromkeys(("epochs", "batch_size", "learning_rate"))
    training, _ = training_of(
        load_split("digits", "val"), "mlp-8", "crd", precision="", device="cpu", **none  # type: ignore[arg-type]
    )  # fmt: skip
    assert training.precision == precision.resolved_precision("auto", "cpu")
    with pytest.raises(DarkprobeError, match="unknown precision 'half'"):
        training_of(load_split("digits", "val"), "mlp-8", "crd", precision="half", **none)  # type: ignore[arg-type]
    with pytest.raises(DarkprobeError, match="precision"):
        TrainConfig(epochs=1, batch_size=1, learning_rate=0.1, precision="half")  # type: ignore[arg-type]
