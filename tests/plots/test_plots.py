"""What the artists hold, not what the pixels look like."""

import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.plots import (
    model_colours,
    new_figure,
    plot_affinity,
    plot_capacity,
    plot_consistency,
    plot_controls,
    plot_effects,
    plot_mismatch,
    plot_profile,
    plot_temperature,
    save_figure,
    with_cards,
)
from darkprobe.plots.capacity import short_count
from darkprobe.plots.tables import axis_label, counted, small_print
from darkprobe.zoo.card import ModelCard

MODELS = {"mlp-8.s0": 700, "mlp-16.s0": 1500, "mlp-64.s0": 9000, "conv-8.s0": 2000}
TEMPERATURES = (1.0, 4.0, 16.0)


def tidy(**changes: object) -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "reference": None,
            "dataset": "digits-0",
            "split": "train",
            "metric": "distinctness_std",
            "temperature": temperature,
            "subset": "all",
            "value": 1 / (size * temperature),
            "low": 0.9 / (size * temperature),
            "high": 1.2 / (size * temperature),
            "n": 600,
            "unit": "probability",
            "parameters": size,
            "family": model.split("-")[0] + "/plain",
        }
        for model, size in MODELS.items()
        for temperature in TEMPERATURES
    ]
    return pd.DataFrame(rows).assign(**changes)


def effects() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": ["ATS", "ISATS", "WTTM"],
            "effect": [0.01, -0.01, 0.0],
            "low": [0.005, -0.02, -0.003],
            "high": [0.015, -0.005, 0.004],
            "n": 32,
            "unit": "fraction",
            "unit_of_n": "replicates",
            "control": ["a", "a", "b"],
        }
    )


def mismatch() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"teacher": t, "parameters": p, "method": m, "value": v, "low": v - 0.01, "high": v + 0.02, "n": 32}
            for t, p in (("mlp-64", 9000), ("mlp-8", 700))
            for m, v in (("KD", 0.93), ("ATS", 0.94))
        ]
    ).assign(unit="fraction")


def text_of(ax) -> str:
    return "\n".join([ax.get_title(loc="left"), *(text.get_text() for text in ax.texts)])


class TestCapacity:
    def test_a_line_per_family_in_order_of_size(self) -> None:
        ax = plot_capacity(tidy())
        lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
        assert set(lines) == {"mlp/plain", "conv/plain"}
        np.testing.assert_allclose(lines["mlp/plain"].get_xdata(), [700, 1500, 9000])
        np.testing.assert_allclose(lines["mlp/plain"].get_ydata(), [1 / (4 * p) for p in (700, 1500, 9000)])
        assert ax.get_xscale() == "log"

    def test_intervals_are_those_of_the_table(self) -> None:
        ax = plot_capacity(tidy().query("family == 'conv/plain'"))
        (bar,) = [c for c in ax.collections if type(c).__name__ == "LineCollection"]
        np.testing.assert_allclose(bar.get_segments()[0][:, 1], [0.9 / 8000, 1.2 / 8000])

    def test_says_temperature_n_and_unit(self) -> None:
        ax = plot_capacity(tidy())
        assert "T = 4" in text_of(ax)
        assert "n = 600 examples" in text_of(ax)
        assert "95 % intervals" in text_of(ax)
        assert ax.get_ylabel() == "distinctness std (probability)"

    def test_says_when_there_are_no_intervals(self) -> None:
        assert "no intervals available" in text_of(plot_capacity(tidy(low=np.nan, high=np.nan)))

    def test_seeds_of_one_size_are_joined_through_their_mean(self) -> None:
        twin = tidy().query("model == 'mlp-8.s0'").assign(model="mlp-8.s1", value=0.5)
        ax = plot_capacity(pd.concat([tidy(), twin]))
        line = next(line for line in ax.lines if line.get_label() == "mlp/plain")
        np.testing.assert_allclose(line.get_ydata()[0], (0.5 + 1 / 2800) / 2)

    def test_names_of_seeds_are_not_set_on_top_of_each_other(self) -> None:
        first = tidy().query("model == 'mlp-64.s0'")
        twins = [first.assign(model=f"mlp-64.s{i}", value=first["value"] * (1 + 1e-4 * i)) for i in range(1, 4)]
        ax = plot_capacity(pd.concat([tidy(), *twins]))
        names = [text for text in ax.texts if str(text.get_text()).startswith("mlp-64")]
        scale = 72 / ax.figure.dpi
        heights = sorted(ax.transData.transform(text.xy)[1] * scale + text.xyann[1] for text in names)  # type: ignore[attr-defined]
        assert len(heights) == 4 and np.diff(heights).min() >= 7.99

    def test_the_legend_shows_the_sign_of_each_family(self) -> None:
        legend = plot_capacity(tidy()).get_legend()
        assert [handle.get_marker() for handle in legend.legend_handles] == ["o", "s"]

    def test_a_metric_without_temperature_needs_none(self) -> None:
        ax = plot_capacity(tidy(metric="accuracy", temperature=np.nan).drop_duplicates("model"), metric="accuracy")
        assert "T =" not in text_of(ax)

    def test_a_short_axis_has_several_numbers(self) -> None:
        sizes = {"a": 269722, "b": 853018}
        two = (
            tidy()
            .query("model in ['mlp-8.s0', 'mlp-16.s0']")
            .assign(parameters=lambda t: t["model"].map({"mlp-8.s0": sizes["a"], "mlp-16.s0": sizes["b"]}))
        )
        ax = plot_capacity(two)
        low, high = ax.get_xlim()
        assert [t for t in ax.get_xticks() if low < t < high] == [3e5, 5e5, 7e5]

    def test_near_names_of_an_unknown_metric(self) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'distinctness_std'"):
            plot_capacity(tidy(), metric="distinctnes_std")

    def test_temperatures_at_hand_are_listed(self) -> None:
        with pytest.raises(InvalidValueError, match=r"temperatures 1, 4, 16; .* got 3"):
            plot_capacity(tidy(), temperature=3.0)

    def test_two_splits_are_not_mixed(self) -> None:
        with pytest.raises(InvalidValueError, match="must hold one split, got train, test"):
            plot_capacity(pd.concat([tidy(), tidy(split="test")]))

    def test_missing_columns_are_named(self) -> None:
        with pytest.raises(InvalidValueError, match="none named parameters, family"):
            plot_capacity(tidy().drop(columns=["parameters", "family"]))

    @pytest.mark.parametrize(("count", "text"), [(82, "82"), (272474, "272k"), (1.5e6, "1.5M"), (3e9, "3B")])
    def test_short_count(self, count: float, text: str) -> None:
        assert short_count(count) == text


class TestTemperature:
    def test_a_line_and_a_band_per_model_in_its_colour(self) -> None:
        colours = model_colours(MODELS, parameters=MODELS)
        ax = plot_temperature(tidy(), colours=colours)
        assert {line.get_label(): mpl.colors.to_hex(line.get_color()) for line in ax.lines} == colours
        assert len(ax.collections) == len(MODELS)
        np.testing.assert_allclose(ax.lines[0].get_xdata(), TEMPERATURES)

    def test_refuses_a_metric_without_temperature(self) -> None:
        with pytest.raises(InvalidValueError, match="must depend on temperature, got 'accuracy'"):
            plot_temperature(tidy(metric="accuracy", temperature=np.nan), metric="accuracy")

    def test_many_models_are_counted_instead_of_listed(self) -> None:
        many = pd.concat([tidy().query("model == 'mlp-8.s0'").assign(model=f"mlp-8.s{i}") for i in range(20)])
        ax = plot_temperature(many)
        assert ax.get_legend() is None
        assert "20 models" in text_of(ax)


class TestAffinity:
    def test_the_diagonal_is_left_out(self) -> None:
        ax = plot_affinity(np.full((3, 3), 0.2), class_names=["cat", "dog", "fox"], note="T = 4 · n = 9 examples")
        shown = np.ma.filled(ax.images[0].get_array(), np.nan)
        assert np.isnan(np.diag(shown)).all()
        assert np.nansum(shown) == pytest.approx(1.2)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "fox"]
        assert "n = 9 examples" in text_of(ax)

    def test_refuses_names_that_do_not_fit(self) -> None:
        with pytest.raises(InvalidValueError, match=r"must have shape \(2, 2\).*got \(3, 3\)"):
            plot_affinity(np.eye(3), class_names=["a", "b"])

    def test_consistency_mirrors_pairs_and_writes_numbers(self) -> None:
        pairs = tidy(metric="class_spearman", reference="mlp-64.s0", value=0.75).query("model == 'mlp-8.s0'")
        ax = plot_consistency(pairs, metric="class_spearman", models=["mlp-8.s0", "mlp-64.s0"], temperature=4.0)
        shown = np.ma.filled(ax.images[0].get_array(), np.nan)
        np.testing.assert_allclose(shown, [[np.nan, 0.75], [0.75, np.nan]])
        low, high = pairs["low"].iloc[1], pairs["high"].iloc[1]
        assert [text.get_text() for text in ax.texts].count(f"0.75\n[{low:.2f}, {high:.2f}]") == 2
        assert "95 % intervals in brackets" in text_of(ax)


class TestProfile:
    PROBS = np.array([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4]])

    def test_wrong_classes_sorted_by_their_mean(self) -> None:
        ax = plot_profile(self.PROBS, models=["a", "b"], class_names=["x", "y", "z"], label=0, temperature=4.0)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["z", "y"]
        np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.1, 0.2])
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend == ["a  (p_y = 0.700)", "b  (p_y = 0.500)"]
        assert "T = 4" in text_of(ax)

    def test_says_how_many_classes_are_left_out(self) -> None:
        ax = plot_profile(self.PROBS, models=["a", "b"], class_names=["x", "y", "z"], label=0, temperature=4.0, top=1)
        assert "1 classes left out" in text_of(ax)

    def test_draws_the_image_beside(self) -> None:
        image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
        ax = plot_profile(
            self.PROBS, models=["a", "b"], class_names=["x", "y", "z"], label=0, temperature=1.0, image=image
        )
        (corner,) = ax.child_axes
        np.testing.assert_array_equal(corner.images[0].get_array(), image[..., 0])

    def test_refuses_logits(self) -> None:
        with pytest.raises(InvalidValueError, match="`probs` must be probabilities"):
            plot_profile(self.PROBS + 1, models=["a", "b"], class_names=["x", "y", "z"], label=0, temperature=1.0)

    def test_refuses_a_label_out_of_range(self) -> None:
        with pytest.raises(InvalidValueError, match=r"`label` must lie in \[0, 3\), got 3"):
            plot_profile(self.PROBS, models=["a", "b"], class_names=["x", "y", "z"], label=3, temperature=1.0)


class TestEffects:
    def test_estimates_and_ends_are_those_of_the_table(self) -> None:
        ax = plot_effects(effects())
        bars = [c.get_segments()[0][:, 0] for c in ax.collections if type(c).__name__ == "LineCollection"]
        np.testing.assert_allclose(bars, effects()[["low", "high"]].to_numpy())
        assert "n = 32 replicates" in text_of(ax)
        assert "simultaneous" in text_of(ax)
        assert "percentage points" in ax.get_xlabel()

    def test_better_worse_and_open_differ_in_colour(self) -> None:
        ax = plot_effects(effects())
        assert len({str(container.lines[0].get_color()) for container in ax.containers}) == 3

    def test_groups_get_a_heading(self) -> None:
        ax = plot_effects(effects().assign(group=["fixes", "fixes", "rungs"]))
        assert [label.get_text() for label in ax.get_yticklabels()] == ["fixes", "ATS", "ISATS", "rungs", "WTTM"]

    def test_controls_join_the_doses_of_one_control(self) -> None:
        ax = plot_controls(effects().assign(label=["x 0.5", "x 0.25", "b"], expected=["lower", "open", "none"]))
        joined = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.0]
        np.testing.assert_allclose(joined[0].get_xdata(), [0.01, -0.01])
        assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "x 0.5", "x 0.25", "b", "b"]
        assert [text.get_text() for text in ax.texts if "expected" in text.get_text()] == [
            "expected: lower",
            "expected: none",
        ]

    def test_different_manipulations_are_not_joined(self) -> None:
        ax = plot_controls(effects())
        assert not [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.0]

    def test_an_empty_table_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="at least one row, got none"):
            plot_effects(effects().iloc[:0])


class TestMismatch:
    def test_a_line_per_method_from_small_to_large(self) -> None:
        ax = plot_mismatch(mismatch(), student_alone=0.9)
        kd = next(c for c in ax.containers if c.get_label() == "KD")
        assert list(kd.lines[0].get_xdata()) == sorted(kd.lines[0].get_xdata())
        np.testing.assert_allclose(kd.lines[0].get_ydata(), [0.93, 0.93])
        assert "student alone" in [text.get_text() for text in ax.get_legend().get_texts()]
        assert ax.get_ylabel() == "student test accuracy (%)"


class TestHouse:
    def test_axes_come_back_when_given(self) -> None:
        ax = new_figure(4, 3).add_subplot()
        assert plot_capacity(tidy(), ax=ax) is ax

    def test_settings_are_left_as_they_were(self) -> None:
        before = dict(mpl.rcParams)
        plot_capacity(tidy())
        assert dict(mpl.rcParams) == before

    def test_pyplot_owns_none_of_the_figures(self) -> None:
        from matplotlib import pyplot

        before = pyplot.get_fignums()
        assert isinstance(plot_capacity(tidy()).figure, Figure)
        assert pyplot.get_fignums() == before

    def test_colours_do_not_depend_on_order(self) -> None:
        names = list(MODELS)
        assert model_colours(names, parameters=MODELS) == model_colours(names[::-1], parameters=MODELS)
        assert len(set(model_colours(names).values())) == len(names)

    def test_colours_darken_with_size(self) -> None:
        colours = model_colours(MODELS, parameters=MODELS)
        light = [sum(mpl.colors.to_rgb(colours[m])) for m in sorted(MODELS, key=lambda m: MODELS[m])]
        assert light == sorted(light, reverse=True)

    def test_shares_read_in_percent(self) -> None:
        assert axis_label("accuracy", "fraction") == "accuracy (%)"

    def test_small_print_gives_the_range_of_n(self) -> None:
        assert counted(pd.DataFrame({"n": [10, 20]})) == "n = 10 to 20 examples"
        assert small_print(tidy(), temperature=4).startswith("digits-0 · train · all examples · T = 4")

    def test_cards_bring_size_and_family(self) -> None:
        card = ModelCard(
            architecture="mlp-8",
            tag="s0",
            line="mlp",
            parameters=7,
            input_shape=(64,),
            num_classes=10,
            weights_sha256="0" * 64,
        )
        bare = tidy().query("model == 'mlp-8.s0'").drop(columns=["parameters", "family"])
        assert set(with_cards(bare, [card])["family"]) == {"mlp/plain"}
        with pytest.raises(UnknownNameError, match=r"unknown model 'mlp-16\.s0'"):
            with_cards(tidy(), [card])


class TestSave:
    @pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
    def test_picture_numbers_and_provenance(self, tmp_path, suffix: str) -> None:
        figure = plot_capacity(tidy()).figure
        path = save_figure(figure, tmp_path / f"capacity.{suffix}", table=tidy(), provenance={"seed": 3})
        assert path.stat().st_size > 1000
        assert json.loads(path.with_suffix(".json").read_text()) == {"seed": 3}
        back = pd.read_csv(path.with_suffix(".csv"))
        np.testing.assert_allclose(back["value"], tidy()["value"])

    @pytest.mark.parametrize("suffix", ["png", "svg"])
    def test_the_same_figure_gives_the_same_bytes(self, tmp_path, suffix: str) -> None:
        first, second = (
            save_figure(plot_capacity(tidy()).figure, tmp_path / f"{i}.{suffix}", table=tidy(), provenance={})
            for i in range(2)
        )
        assert first.read_bytes() == second.read_bytes()

    def test_refuses_other_formats(self, tmp_path) -> None:
        with pytest.raises(InvalidValueError, match=r"must end in \.png, \.svg, \.pdf, got 'a.gif'"):
            save_figure(new_figure(1, 1), tmp_path / "a.gif", table=tidy(), provenance={})
        assert list(tmp_path.iterdir()) == []
