from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from report_run import CLOSURES, LAYERS, run_json, write_run
from spectune.errors import CaseError, DataError
from spectune.report import FIGURES, save_figures, write_report
from spectune.report._svg import inline_svg
from spectune.report.figures import draw
from spectune.report.figures_kernels import full_plane
from spectune.report.findings import Findings, find
from spectune.report.run_folder import read_run
from spectune.report.sentences import (
    all_layers_sentence,
    check_sentence,
    flow_names,
    lead,
    les_sentences,
    ordinal,
    tiles,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def page(good: Path) -> str:
    return write_report(good).read_text(encoding="utf-8")


def facts(folder: Path, **outcome: object) -> Findings:
    return find(read_run(write_run(folder, **outcome)))  # type: ignore[arg-type]


def edit(path: Path, change: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)  # type: ignore[operator]
    path.write_text(json.dumps(content), encoding="utf-8")


class Loads(HTMLParser):
    """Collects ids and everything a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "srcset", "data", "poster", "action") or (
                name in ("href", "xlink:href") and tag != "a"
            ):
                self.fetched.append(value or "")


def test_page_loads_nothing_from_elsewhere(page: str) -> None:
    parsed = Loads()
    parsed.feed(page)
    assert [u for u in parsed.fetched if not u.startswith(("data:", "#"))] == []
    assert not parsed.tags & {"script", "link", "iframe", "object", "embed"}
    assert "@import" not in page
    assert "@font-face" not in page
    assert not re.findall(r"url\((?!#)", page)
    links = set(re.findall(r'<a href="(http[^"]+)"', page))
    assert links
    assert all(link.startswith("https://doi.org/") for link in links)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert len(page) < 6e6


def test_page_has_every_figure_twice_with_words_for_it(page: str) -> None:
    assert page.count("<figcaption>") == len(FIGURES)
    labels = re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="([^"]+)"', page)
    assert len(labels) == 2 * len(FIGURES)
    assert all(len(label) > 60 for label in labels)


def test_figures_follow_the_theme(page: str) -> None:
    drawing = page[page.index("<svg ") :]
    assert "var(--fig-tlnn)" in drawing
    assert "#00805d" not in drawing
    assert "DejaVu" not in drawing
    assert "var(--font)" in drawing


def test_the_same_run_gives_the_same_drawing(good: Path, page: str) -> None:
    svg = inline_svg(draw(read_run(good), "check"), "check", "")
    assert svg[svg.index("xmlns") :] in page


def test_tiles_equal_the_files(good: Path, page: str) -> None:
    shown = dict(
        re.findall(r'<dt>([^<]+)</dt><dd class="value">([^<]+)</dd>', page.replace("\u00a0", " "))
    )
    with xr.open_dataset(good / "offline.nc", engine="h5netcdf") as offline:
        before, after = (
            float(offline["relative_mse"].sel(experiment=e))
            for e in ("BNN on target", "TLNN on target")
        )
    with xr.open_dataset(good / "online.nc", engine="h5netcdf") as online:
        les = [float(online["energy_spectrum_error"].sel(closure=c)) for c in ("BNN", "TLNN")]
    advice = json.loads((good / "advice.json").read_text(encoding="utf-8"))
    sweep = json.loads((good / "sweep.json").read_text(encoding="utf-8"))
    errors = {layer["name"]: layer["error"] for layer in sweep["layers"]}
    rank = sorted(errors, key=errors.__getitem__).index(advice["best"]) + 1
    assert shown == {
        "Error on the target flow": f"{before:.2f} → {after:.2f}",
        f"Advised layer: {advice['best']}": f"{ordinal(rank)} of {len(errors)} layers",
        "Cost of the advice": f"{sweep['seconds'] / advice['seconds']:.1f}× cheaper",
        "Spectrum error in the LES": f"{les[0]:.2f} → {les[1]:.2f}",
    }


def test_regret_and_rank_correlation_agree_with_the_sweep(good: Path) -> None:
    found = find(read_run(good))
    comparison = json.loads((good / "sweep.json").read_text(encoding="utf-8"))["comparison"]
    assert found.regret == pytest.approx(comparison["attainable decrease"]["regret"])
    assert found.rank == comparison["attainable decrease"]["rank_of_choice"] == 1
    assert 0.9 < found.spearman <= 1


def test_advice_that_is_the_best(good: Path) -> None:
    found = find(read_run(good))
    assert "confirms conv2 as the best choice" in check_sentence(found)


def test_advice_that_is_not_the_best_says_its_rank_and_regret(tmp_path: Path) -> None:
    found = facts(tmp_path, advised="conv4")
    words = check_sentence(found)
    assert "not the best choice" in words
    assert "ranks it 4th, behind conv2 at 0.43" in words
    assert f"regret {found.regret:.2f}" in words
    assert tiles(found)[1].tone == "plain"


def test_a_list_of_advised_layers_is_read(good: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    edit(folder / "advice.json", lambda advice: advice.update(best=[advice["best"]]))
    found, same = find(read_run(folder)), find(read_run(good))
    assert (found.advised, found.rank, found.regret) == (same.advised, same.rank, same.regret)


@pytest.mark.parametrize(
    ("all_layers", "words"),
    [
        (0.31, "does better than the best single layer"),
        (0.5, "does worse than the best single layer"),
        (0.431, "is about as good as the best single layer"),
        (float("nan"), "gave no finite error"),
    ],
)
def test_all_layers_against_one(tmp_path: Path, all_layers: float, words: str) -> None:
    assert words in all_layers_sentence(facts(tmp_path, all_layers=all_layers))


def test_retraining_that_does_not_help(tmp_path: Path) -> None:
    found = facts(tmp_path, tlnn_error=1.2)
    assert "does not help: the error becomes 1.20" in " ".join(lead(found, run_json()["case"]))
    assert tiles(found)[0].tone == "bad"


def test_blow_up_says_when(tmp_path: Path) -> None:
    found = facts(tmp_path, blow_up={"TLNN": 12.6, "no closure": 20.0})
    words = " ".join(les_sentences(found))
    assert "blew up at t = 12.6 of 42" in words
    assert "the simulation without closure at t = 20" in words
    assert tiles(found)[3].value == "blew up at t = 12.6"
    assert tiles(found)[3].tone == "bad"


def test_similarity_led_by_another_closure_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    path = folder / "online.nc"
    online = xr.load_dataset(path, engine="h5netcdf")
    online["similarity"].loc[{"closure": "Smagorinsky"}] = 0.95
    online.to_netcdf(path, engine="h5netcdf")
    found = find(read_run(folder))
    assert "Smagorinsky is ahead with 0.95" in " ".join(les_sentences(found))
    assert tiles(found)[3].tone == "plain"


def test_nan_everywhere_still_gives_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every figure once is enough here; drawing is what takes the time.
    monkeypatch.setattr(
        "spectune.report.page.inline_svg",
        lambda figure, name, alt: "" if "narrow" in name else inline_svg(figure, name, alt),
    )
    blow_up = dict.fromkeys(CLOSURES[1:], 3.0)
    folder = write_run(tmp_path, blow_up=blow_up, all_layers=float("nan"))

    def lose(sweep: dict[str, list[dict[str, object]]]) -> None:
        sweep["layers"][4].update(error=None, correlation=float("nan"))

    edit(folder / "sweep.json", lose)
    for name, variables in {
        "explanation.nc": ("linear", "weight_change", "mean_response"),
        "advice.nc": ("correctable",),
        "offline.nc": ("tlnn", "prediction_spectrum", "band_spectrum_error"),
    }.items():
        data = xr.load_dataset(folder / name, engine="h5netcdf")
        for variable in variables:
            data[variable] = data[variable] * np.nan
        data.to_netcdf(folder / name, engine="h5netcdf")
    page = write_report(folder).read_text(encoding="utf-8")
    assert ">nan<" not in page.lower()
    assert " nan" not in unescape(page).lower()
    assert find(read_run(folder)).ranked[-1] == LAYERS[4]


def test_a_missing_file_names_the_stage(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    (folder / "online.nc").unlink()
    with pytest.raises(CaseError, match=r"online\.nc: missing; the stage `online`"):
        write_report(folder)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("sweep.json", "verify"), ("explanation.nc", "explain"), ("flows.nc", "simulate")],
)
def test_a_broken_file_names_the_stage(tmp_path: Path, name: str, stage: str) -> None:
    folder = write_run(tmp_path)
    (folder / name).write_bytes(b"\x89HDF not really {")
    with pytest.raises(DataError, match=rf"{name}: not readable.*stage `{stage}`"):
        write_report(folder)


def test_a_file_that_lacks_something_says_what(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    data = xr.load_dataset(folder / "offline.nc", engine="h5netcdf")
    data.drop_vars("correlation").to_netcdf(folder / "offline.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="lacks correlation"):
        write_report(folder)
    edit(folder / "advice.json", lambda advice: advice.pop("reason"))
    with pytest.raises(DataError, match="lacks reason"):
        write_report(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no such folder"):
        write_report(tmp_path / "nowhere")


def test_saved_figures(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "spectune.report.figures.FIGURES", {k: FIGURES[k] for k in ("check", "kernels")}
    )
    written = save_figures(good)
    assert [p.name for p in written] == ["check.pdf", "check.png", "kernels.pdf", "kernels.png"]
    assert all(p.stat().st_size > 5000 for p in written)


def test_figures_leave_the_global_style_alone(good: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(read_run(good), "kernels")
    assert dict(matplotlib.rcParams) == before


def test_full_plane_is_the_transform_of_the_kernel() -> None:
    kernel = np.random.default_rng(3).normal(size=(5, 5))
    ky, kx = np.fft.fftfreq(16, 1 / 16), np.arange(9)
    plane, reach = full_plane(np.abs(np.fft.rfft2(kernel, (16, 16))), ky, kx)
    whole = np.fft.fftshift(np.abs(np.fft.fft2(kernel, (16, 16))))
    whole = np.pad(whole, ((0, 1), (0, 1)), mode="wrap")  # Nyquist on both sides
    assert reach == (8.5, 8.5)
    np.testing.assert_allclose(plane, whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"forcing_wavenumber": 4}, ("forced at k = 25", "forced at k = 4")),
        ({"forcing_wavenumber": 0}, ("forced at k = 25", "decaying")),
        ({"forcing_wavenumber": 25, "reynolds": 1e5}, ("Re = 1 000", "Re = 100 000")),
    ],
)
def test_flows_are_named_by_what_differs(change: dict[str, float], words: tuple[str, str]) -> None:
    case = {"base": {"forcing_wavenumber": 25, "reynolds": 1e3}}
    case["target"] = case["base"] | change
    for name, mark in zip(flow_names(case), words, strict=True):
        assert f"({mark})" in name


def test_no_room_that_computes_is_imported() -> None:
    import spectune.report

    allowed = {"spectune.report", "spectune.errors", "spectune.atomic"}
    for path in Path(spectune.report.__file__).parent.glob("*.py"):
        for module in re.findall(r"(?:from|import) (spectune[\w.]*)", path.read_text("utf-8")):
            assert ".".join(module.split(".")[:2]) in allowed, path
