"""Pictures of runs: what they show is what is in the store."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.animation import FFMpegWriter
from PIL import Image

from cli_run import refused, runner
from spectune import simulate
from spectune.errors import CaseError, DataError
from spectune.report import save_picture
from spectune.report.run_panels import spread, time_text
from spectune.report.run_sheet import sheet_figure
from spectune.report.style import unit_text
from spectune.runs import system_parameters
from spectune.tables import parameter_line


def flow(members=2, times=7, n=8, **attributes):
    """Vorticity with one sign in each half of the box, which grows, and turns round in time."""
    x, time = np.arange(n) * 2 * np.pi / n, np.arange(times) * 0.5
    sign = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    turn = np.where(time < time.mean(), 1.0, -1.0) * (1 + time)
    values = np.arange(1, members + 1)[:, None, None, None] * turn[:, None, None] * sign
    dims = ("member", "time", "y", "x")
    omega = np.broadcast_to(values, (members, times, n, n)).copy()
    described = {"long_name": "vorticity", "units": "1"} | attributes
    coordinates = {"member": range(members), "time": ("time", time, {"units": "1"}), "y": x, "x": x}
    return xr.Dataset({"omega": (dims, omega, described)}, coordinates, {"title": "a flow"})


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def words(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_contact_sheet():
    run = flow(units="s-1")
    figure = sheet_figure(run, parameters="re = 1000, kf = 4")
    shown = images(figure)
    assert len(shown) == 2 * 5
    times = [0, 2, 3, 4, 6]
    for image, (member, time) in zip(shown, [(m, t) for m in (0, 1) for t in times], strict=True):
        np.testing.assert_array_equal(image.get_array(), run.omega[member, time])
        assert image.origin == "lower"
    limits = {image.get_clim() for image in shown}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high
    assert high == pytest.approx(8.0, rel=0.05)
    assert {image.get_cmap().name for image in shown} == {"balance"}
    said = words(figure)
    for text in ("a flow", "re\u00a0=\u00a01000, kf\u00a0=\u00a04", "member 0", "member 1"):
        assert text in said
    assert "vorticity (s⁻¹)" in said
    assert [text for text in said if text.startswith("t = ")] == [f"t = {t / 2:g}" for t in times]


def test_more_members_than_there_is_room_for():
    figure = sheet_figure(flow(members=6, times=2), parameters="re = 1")
    assert len(images(figure)) == 4 * 2
    assert "re\u00a0=\u00a01; members 0 to 3 of 6" in words(figure)


def test_layers_have_a_scale_each():
    run = flow(members=2, times=2, units="s-1")
    q = run.omega.expand_dims(layer=[1, 2], axis=2) * xr.DataArray([1.0, 1e-3], dims="layer")
    q.attrs = {"long_name": "potential vorticity", "units": "s-1"}
    time = ("time", [0.0, 432_000.0], {"units": "s"})
    figure = sheet_figure(xr.Dataset({"q": q}, attrs=run.attrs).assign_coords(time=time))
    first, second = images(figure)[:4], images(figure)[4:]
    assert {image.get_clim() for image in first} == {(-3.0, 3.0)}
    assert {image.get_clim() for image in second} == {(-0.003, 0.003)}
    np.testing.assert_array_equal(second[3].get_array(), q[1, 1, 1])
    said = words(figure)
    for text in ("layer 1, member 0", "layer 2, member 1", "t = 5 days"):
        assert text in said
    assert "potential vorticity, layer 2 (s⁻¹)" in said


def test_what_is_not_reached_is_said():
    run = flow()
    run.omega[1, 3:] = np.nan
    assert words(sheet_figure(run)).count("not reached") == 3
    ring = run.isel(y=0, drop=True)
    ring.x.attrs = {"long_name": "x coordinate"}
    assert words(sheet_figure(ring)).count("not reached") == 1


def test_rings_are_drawn_against_time(tmp_path):
    run = simulate("lorenz96", slow_count=6, fast_count=3, time=2.0, members=2, out=tmp_path / "r")
    figure = sheet_figure(run)
    slow, fast = images(figure)[:2], images(figure)[2:]
    np.testing.assert_array_equal(slow[1].get_array(), run.X[1])
    np.testing.assert_array_equal(fast[0].get_array(), run.Y[0].values.reshape(21, 18))
    assert slow[0].get_extent() == pytest.approx([-0.5, 5.5, -0.05, 2.05])
    assert fast[0].get_extent() == pytest.approx([-1 / 6, 6 - 1 / 6, -0.05, 2.05])
    assert len({image.get_clim() for image in slow}) == len({i.get_clim() for i in fast}) == 1
    said = words(figure)
    for text in ("two-scale Lorenz-96", "slow variable", "fast variable", "time", "member 1"):
        assert text in said


def test_a_long_ring_is_thinned():
    ring = flow(members=1, times=2501).isel(y=0, drop=True)
    ring.x.attrs = {"long_name": "x coordinate", "units": "m"}
    (image,) = images(sheet_figure(ring))
    np.testing.assert_array_equal(image.get_array(), ring.omega[0, ::3])
    assert image.get_extent()[3] == pytest.approx(1249.5 + 0.75)


def redness(pixels):
    """Mean of red − blue."""
    return float(pixels[..., 0].astype(float).mean() - pixels[..., 2].mean())


def halves(pixels):
    """Redness of the left and right half of the largest field: between its saturated edges."""
    coloured = (pixels.astype(int).max(-1) - pixels.astype(int).min(-1)) > 30
    columns = np.flatnonzero(coloured.mean(0) > 0.3)
    rows = np.flatnonzero(coloured[:, columns].mean(1) > 0.5)
    inside = pixels[rows[0] : rows[-1], columns[0] : columns[-1]]
    middle = inside.shape[1] // 2
    return redness(inside[:, : middle - 5]), redness(inside[:, middle + 5 :])


def test_the_file_shows_red_for_positive(tmp_path):
    run = flow(members=1).isel(time=[0])
    save_picture(run, tmp_path / "sheet.png")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    # The colour bar stands at the right, apart from the field.
    left, right = halves(pixels[:, : int(0.72 * pixels.shape[1])])
    assert left > 20
    assert right < -20
    save_picture(run, tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")


def test_movie(tmp_path):
    run, fractions = flow(members=1, times=6), []
    save_picture(run, tmp_path / "m.gif", report=fractions.append)
    movie = Image.open(tmp_path / "m.gif")
    assert movie.n_frames == 6
    assert fractions == pytest.approx(np.arange(1, 7) / 6)
    shown = []
    for frame in range(6):
        movie.seek(frame)
        pixels = np.asarray(movie.convert("RGB"))
        shown.append(halves(pixels[:, : int(0.75 * pixels.shape[1])]))
    left, right = np.array(shown).T
    assert (np.sign(left) == [1, 1, 1, -1, -1, -1]).all()
    assert (np.sign(right) == -np.sign(left)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["m.gif"]


def test_long_movies_are_thinned():
    assert len(spread(10_000, 200)) == 200
    assert spread(10_000, 200)[[0, -1]].tolist() == [0, 9999]
    assert spread(3, 200).tolist() == [0, 1, 2]


def test_refusals(tmp_path, monkeypatch):
    run = flow()
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda _: False))
    for name, error, text in (
        ("m.mp4", CaseError, "ffmpeg, which was not found; install it, or give a .gif"),
        ("m.jpg", CaseError, "ends in '.jpg', expected .png or .pdf"),
        ("none/m.gif/", CaseError, "ring"),
    ):
        shown = run.isel(y=0) if text == "ring" else run
        with pytest.raises(error, match=text):
            save_picture(shown, tmp_path / name)
    with pytest.raises(DataError, match="no snapshot yet"):
        save_picture(run.isel(time=slice(0)), tmp_path / "m.png")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"m\.png cannot be written"):
        save_picture(run, tmp_path / "file/m.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_words():
    assert unit_text("m2 s-1") == "m² s⁻¹"
    assert unit_text("kg") == "kg"
    assert time_text(flow(), 1) == "t = 0.5"
    line = parameter_line(system_parameters("navier-stokes", beta=2.0))
    assert line.startswith("n = 256, re = 1000, kf = 4, amplitude = 1, directions = xy, drag = 0.1")
    assert "beta = 2" in line
    assert "hyper" not in line
    assert "ring" not in line
    assert "rd = 15000 m, u1 = 0.025 m s-1, " in parameter_line(system_parameters("two-layer-qg"))


def test_from_the_shell(tmp_path, monkeypatch, capsys):
    spectune = runner(tmp_path, monkeypatch, capsys)
    simulate("navier-stokes", n=16, peak=3.0, re=50.0, time=2.0, out="run.zarr")
    for name in ("sheet.png", "movie.gif"):
        code, out, err = spectune("picture", "run.zarr", "-o", name)
        assert code in (0, None), err
        assert out.strip() == str(Path(name).resolve())
    assert Image.open("movie.gif").n_frames == 3
    refused(spectune("picture", "run.zarr"), "--out")
    refused(spectune("picture", "run.zarr", "-o", "sheet.bmp"), "ends in '.bmp'")
    refused(spectune("picture", "my_module.py", "-o", "sheet.png"), "not the store of a run")
