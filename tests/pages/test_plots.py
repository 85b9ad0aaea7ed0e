"""Charts: what is drawn is what was given."""

import html
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from etude.pages.axes import Scale
from etude.pages.plots import bar_chart, histogram, line_chart, strip_chart


def plotted(markup):
    return json.loads(html.unescape(re.search(r'data-plot="([^"]*)"', markup).group(1)))["series"]


def chart(series, **more):
    return line_chart(series, x_label="step", y_label="loss", **more)


def test_points_lie_where_their_values_are():
    line = plotted(chart({"train": ([0, 5, 10], [4.0, 3.0, 2.0])}))[0]
    assert line["left"] == [0, 50, 100]
    assert line["top"][1] == 50
    assert line["top"] == sorted(line["top"]), "a falling loss goes down"
    assert line["y"] == [4, 3, 2]


def test_baselines_are_within_the_chart_and_named_with_their_value():
    markup = chart({"train": ([0, 1], [2.0, 1.0])}, baselines={"bigram": 5.0})
    assert "bigram 5.000" in markup
    dashed = re.search(r'y1="([\d.]+)"[^>]*stroke-dasharray', markup)
    assert 0 < float(dashed.group(1)) < min(plotted(markup)[0]["top"])


def test_a_logarithmic_axis_gives_each_factor_the_same_width():
    line = plotted(chart({"train": ([0, 1, 10, 100], [4, 3, 2, 1])}, log_x=True))[0]
    assert line["left"] == [0, 0, 50, 100]


def test_values_that_are_not_finite_are_left_out_and_a_chart_of_none_is_refused():
    line = plotted(chart({"train": ([0, 1, 2], [1.0, np.nan, 3.0]), "valid": ([0], [np.inf])}))
    assert [one["name"] for one in line] == ["train"]
    assert line[0]["x"] == [0, 2]
    with pytest.raises(ValueError, match="at least one line"):
        chart({"train": ([], [])})


def test_many_points_are_averaged_and_the_first_stay():
    ys = np.random.default_rng(0).normal(size=50_000)
    line = plotted(chart({"train": (np.arange(50_000), ys)}))[0]
    assert len(line["x"]) == 400
    np.testing.assert_allclose(line["y"][:40], ys[:40], atol=1e-4)
    assert np.std(line["y"][40:]) < 0.2


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 1400), (-3, 3), (0.83, 1.01), (28, 41), (1e-9, 2e-9), (5e6, 9e6)]
)
def test_ticks_are_few_rising_and_within_the_axis(low, high):
    ticks = Scale(low, high).ticks()
    assert 3 <= len(ticks) <= 8
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])
    assert low - 1e-9 * (high - low) <= ticks[0] < ticks[-1] <= high + 1e-9 * (high - low)


def test_one_point_and_equal_values_still_make_a_chart():
    assert plotted(chart({"train": ([7], [2.0])}))[0]["left"] == [50]
    assert plotted(chart({"train": ([1], [2.0])}, log_x=True))[0]["left"] == [0]


def test_bars_are_as_long_as_their_values():
    markup = bar_chart({"ours": 1.0, "bigram": 4.0}, unit="nats")
    assert re.findall(r"width:([\d.]+)%", markup) == ["25.0", "100.0"]
    assert "4.000 nats" in markup
    with pytest.raises(ValueError, match="at least 0"):
        bar_chart({"ours": -1.0})


def test_a_histogram_is_a_hill_as_high_as_its_counts():
    markup = histogram([0, 0, 0, 10], title="notes", num_bins=2)
    tops = [float(top) for top in re.findall(r"V([\d.]+)H", markup)]
    assert tops == [4, pytest.approx(68)]


def test_takes_are_dots_on_the_ground_line():
    markup = strip_chart([0, 10], [5, np.nan, 0], title="notes")
    assert re.findall(r'etude-take" style="left:([\d.]+)%', markup) == ["50.0", "3.7"]
    with pytest.raises(ValueError, match="finite"):
        strip_chart([np.nan], [1], title="notes")


def test_charts_are_well_formed_and_say_in_words_what_they_show():
    markup = chart({"train <1>": ([0, 1], [2.0, 1.0])}, baselines={"a & b": 5.0})
    label = ET.fromstring(markup).find(".//*[@role='img']").get("aria-label")
    assert label == "loss by step: train <1> from 2.000 to 1.000; a & b 5.000"
