"""The catalogue of systems: what it says is what is simulated."""

import pytest
import torch

from spectune.errors import CaseError
from spectune.runs import SYSTEMS, RunSettings, run_settings, system_parameters
from spectune.systems import EDDY, JET

SMALL = {
    "navier-stokes": {"n": 32, "kf": 3, "injection": 0.1, "ring": 4.0, "hyperviscosity": 1e-9}
    | {"hypoviscosity": 0.1},
    "two-layer-qg": {"n": 16, "hyperviscosity": 1e9},
    "burgers": {"n": 32, "length": 10.0},
    "kuramoto-sivashinsky": {"n": 32},
    "lorenz96": {"slow_count": 6, "fast_count": 2},
}
# Values that are another choice than those above and the defaults.
OTHER = {
    "preset": {"navier-stokes": "kolmogorov", "two-layer-qg": "jet"},
    "dealiasing": {"two-layer-qg": "2/3"},
    "directions": "x",
    "slow_count": 7,
    "fast_count": 3,
    "hyperviscosity_power": 5,
    "hypoviscosity_power": 2,
}
every_system = pytest.mark.parametrize("name", SYSTEMS)


def build(name, members=range(2), seed=1, dtype=torch.float64, **changes):
    parameters = system_parameters(name, **SMALL[name] | changes)
    return parameters.build(seed=seed, members=members, dtype=dtype, device="cpu")


def fingerprint(setup):
    """Everything that a run is made of: L, N, noise, forcing and the state to start from."""
    system, state = setup.system, setup.initial()
    if setup.redraw is not None:
        setup.redraw.apply(2)
    parts = [state, system.linear, system.tendency(state)]
    if getattr(system, "noise", None) is not None:
        parts.append(system.noise.kick(torch.zeros_like(state), 0.1, step=3))
    parts += [coordinate.points for coordinate in setup.coordinates]
    if setup.redraw is not None:
        parts.append(torch.tensor(setup.redraw.interval))
    return parts


def same(one, other):
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


@every_system
def test_every_parameter_reaches_the_run(name):
    reference = fingerprint(build(name))
    assert same(reference, fingerprint(build(name)))
    for field, value in system_parameters(name, **SMALL[name]).model_dump().items():
        other = OTHER.get(field, "3/2" if field == "dealiasing" else None)
        other = other.get(name, "3/2") if isinstance(other, dict) else other
        if other is None:
            other = value + 2 if isinstance(value, int) else 1.3 * value + 0.01 * (value == 0)
        assert not same(reference, fingerprint(build(name, **{field: other}))), field


@every_system
def test_fields_and_states(name):
    """Fields are those the variables promise, and lead back to the state."""
    setup = build(name, range(3))
    state = setup.initial()
    sizes = {coordinate.name: len(coordinate.points) for coordinate in setup.coordinates}
    fields = setup.fields(state)
    for variable, field in zip(setup.variables, fields, strict=True):
        assert field.shape == (3, *(sizes[dim] for dim in variable.dims))
        assert not field.is_complex()
    torch.testing.assert_close(setup.state(fields), state, rtol=1e-12, atol=1e-12)
    assert all(value > 0 for value in setup.diagnostics(state).values())


@every_system
def test_a_member_is_itself_in_any_company(name):
    alone, together = build(name, range(2, 3)), build(name, range(4))
    assert torch.equal(alone.initial()[0], together.initial()[2])
    states = together.initial()
    for i in range(4):
        assert all(not torch.equal(states[i], states[j]) for j in range(i))
    if alone.redraw is not None:
        alone.redraw.apply(5)
        together.redraw.apply(1)
        together.redraw.apply(5)
        assert torch.equal(alone.system.forcing[0], together.system.forcing[2])


def test_energy_of_the_monitor():
    """The energy of the initial vorticity is the one asked for; ½⟨ω²⟩ by the field itself."""
    setup = build("navier-stokes", range(3), energy=0.7, peak=6.0, n=64)
    state = setup.initial()
    values = setup.diagnostics(state)
    assert values["energy"] == pytest.approx(0.7, rel=2e-3)  # the dealiased part of it
    vorticity = setup.fields(state)[0]
    assert values["enstrophy"] == pytest.approx(0.5 * float((vorticity**2).mean()))


def test_presets():
    for preset, values in (("eddy", EDDY), ("jet", JET)):
        parameters = system_parameters("two-layer-qg", preset=preset)
        assert {name: getattr(parameters, name) for name in values} == dict(values)
    mine = system_parameters("two-layer-qg", preset="jet", beta=2e-11)
    assert (mine.beta, mine.rek) == (2e-11, JET["rek"])
    decaying = system_parameters("navier-stokes", preset="decaying")
    assert (decaying.kf, decaying.drag) == (0, 0.0)
    for kind in SYSTEMS.values():
        for preset in kind.presets:
            again = system_parameters(kind.name, preset=preset)
            # All values given, as from a store: presets must not change them.
            assert system_parameters(kind.name, **again.model_dump()) == again


@every_system
def test_names_and_units(name):
    """Parameters and settings share the attributes of a store; units are SI or 1."""
    kind = SYSTEMS[name]
    taken = {"system", "title", "source", "history", "versions", "parameter_units", "Conventions"}
    assert not set(kind.model_fields) & (set(RunSettings.model_fields) | taken)
    for field, info in kind.model_fields.items():
        assert info.description
        assert kind.default_of(field)
        unit = kind.unit_of(field)
        assert unit == "1" or all(part.rstrip("-0123456789") in ("m", "s") for part in unit.split())


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("navier-stoke", {}, ["no system 'navier-stoke'", "did you mean 'navier-stokes'"]),
        ("x", {}, ["no system 'x'", "expected one of navier-stokes, two-layer-qg"]),
        ("navier-stokes", {"hyperviscocity": 1}, ["'hyperviscocity'", "mean 'hyperviscosity'"]),
        ("navier-stokes", {"re": -1}, ["re: Input should be greater than 0", "found -1"]),
        ("navier-stokes", {"n": 33, "kf": 1.5}, ["n: ", "multiple of 2", "kf: ", "found 1.5"]),
        ("navier-stokes", {"re": float("nan")}, ["re: ", "found nan"]),
        ("two-layer-qg", {"preset": "gyre"}, ["preset: ", "'eddy' or 'jet'", "found 'gyre'"]),
    ],
)
def test_mistakes(name, given, words):
    with pytest.raises(CaseError) as caught:
        system_parameters(name, **given)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"time": 0}, ["time: Input should be greater than 0"]),
        ({"time": 2.5}, ["time = 2.5 is no multiple of every = 1", "time = 2", "every = 1.25"]),
        ({"time": 2, "spinup": 0.5}, ["spinup = 0.5 is no multiple of every = 1"]),
        ({"time": 2, "dt": 0.1, "courant": 1}, ["dt = 0.1", "courant = 1", "expected one"]),
        ({"time": 2, "courant": 3}, ["courant = 3 is above the limit of IFRK4, 2.83"]),
        ({"time": 2, "scheme": "RK4"}, ["scheme: ", "'IFRK4'", "found 'RK4'"]),
        ({"time": 2, "members": 0, "seed": -1}, ["members: ", "seed: "]),
    ],
)
def test_impossible_settings(given, words):
    with pytest.raises(CaseError) as caught:
        run_settings(system_parameters("navier-stokes"), **given)
    for word in words:
        assert word in str(caught.value)


def test_groups():
    settings = run_settings(system_parameters("lorenz96"), time=1.0, members=5, group=2)
    assert settings.groups == [range(2), range(2, 4), range(4, 5)]
    assert (settings.snapshots, settings.spinup_intervals) == (11, 0)
    assert settings.courant == pytest.approx(2**0.5)
