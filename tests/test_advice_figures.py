"""The advice as a table and as figures, for few and for many layers with long names."""

import io
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from rich.console import Console

import spectune as st
from small_pairs import noise, pairs_of
from spectune.report import save_advice_figures
from spectune.report.figures_advice import advice_figure, short_names
from spectune.report.run_folder import read_advice
from spectune.tables import advice_table


def test_names_are_cut_where_they_are_alike_and_stay_different():
    names = [f"encoder.blocks.{i}.norm" for i in range(3)]
    assert list(short_names(names).values()) == ["…0.norm", "…1.norm", "…2.norm"]
    long = [f"encoder.{i}.a_very_long_name_of_a_layer_in_a_network" for i in (1, 2)]
    for name, shown in short_names(long).items():
        assert len(shown) <= 28
        assert shown.startswith(f"…{name[8]}.")
    alike = [f"{'a' * 20}{i}{'b' * 30}" for i in (1, 2)]
    assert list(short_names(alike).values()) == alike  # cut in the middle they would be one
    assert short_names(["conv1", "conv2"]) == {"conv1": "conv1", "conv2": "conv2"}
    assert short_names(["block", "block.conv"]) == {"block": "block", "block.conv": "block.conv"}
    assert short_names(["encoder.conv"]) == {"encoder.conv": "encoder.conv"}


@pytest.fixture
def advice():
    torch.manual_seed(0)
    model = st.CNN(2, 1, width=3, depth=3, kernel=3)
    return st.advise(model, pairs_of(noise(10), noise(10, 1, 5)))


def many(advice, count=60):
    """The same advice with many more layers of long names."""
    layers = tuple(
        replace(advice.layers[i % 3], name=f"encoder.blocks.{i}.attention.projection")
        for i in range(count)
    )
    names = tuple(layer.name for layer in layers)
    rows = torch.arange(count) % 3
    return replace(
        advice,
        best=names[:1],
        rivals=names[1:5],
        layers=layers,
        rankings=dict.fromkeys(advice.rankings, names),
        correctable=advice.correctable[rows],
    )


def shown(table):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


@pytest.mark.parametrize("count", [3, 60])
def test_every_layer_has_its_row_and_its_dot(advice, tmp_path, count):
    told = many(advice, count)
    text = shown(advice_table(told))
    for layer in told.layers:
        assert layer.name in text
    assert text.count("*") >= len(told.rivals[: count - 1])
    assert f"/{len(told.voters)}" in text
    told.save(tmp_path)
    assert {path.name for path in save_advice_figures(tmp_path)} == {"advice.pdf", "advice.png"}
    for narrow in (False, True):
        figure = advice_figure(*read_advice(tmp_path), narrow=narrow)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        labels = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert len(labels) == count
        assert not any(a.overlaps(b) for a, b in pairwise(labels))
