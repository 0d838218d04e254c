"""The stages of a case, from direct simulation to the report."""

from __future__ import annotations

import copy
import json

import torch

from spectune.advice import ALL_LAYERS, Sweep, advise, compare, load_retrained, verify
from spectune.atomic import write_dataset, write_text
from spectune.data import Normalization, Pairs, PairStore
from spectune.experiments.case import TrainingCase
from spectune.experiments.flows import simulate_flows
from spectune.experiments.online import couple
from spectune.experiments.records import describe_flows, describe_offline
from spectune.experiments.runner import Run, Stage
from spectune.explain import explain
from spectune.models import CNN, Network, load_network, predict, save_network
from spectune.progress import Report
from spectune.provenance import versions
from spectune.report import save_figures, write_report
from spectune.spectra import relative_mse
from spectune.training import FitSettings, fit, trainable_layers

__all__ = ["STAGES"]

# Samples behind the explanation: enough for means, few enough to be quick.
EXPLAINED = 20


def _simulate(run: Run, report: Report) -> str:
    simulate_flows(run.case, run.folder, report)
    base, target = _pairs(run, "base"), _pairs(run, "target")
    write_dataset(run.path("flows.nc"), describe_flows(base[1], target[1]))
    return f"{sum(map(len, base))} base and {sum(map(len, target))} target pairs"


def _train(run: Run, report: Report) -> str:
    case = run.case
    training, held_out = _pairs(run, "base")
    normalization = Normalization.of(training, "base training set")
    arguments = {"inputs": 2, "outputs": 1, **case.network.model_dump()}
    torch.manual_seed(case.seed)
    module = CNN(**arguments)
    settings = _settings(case.training, case.seed)
    fit(
        module,
        normalization.inputs(training.inputs),
        normalization.targets(training.targets),
        settings,
        held_out=(normalization.inputs(held_out.inputs), normalization.targets(held_out.targets)),
        state_path=run.path("bnn.state.safetensors"),
        progress=lambda epoch: report(epoch / settings.epochs),
    )
    network = Network(module, normalization).eval()
    save_network(
        run.path("bnn"),
        network,
        factory="spectune.models:CNN",
        arguments=arguments,
        grid=training.grid,
        provenance={"case": case.name, "trained_on": "base", "seed": case.seed} | versions(),
    )
    error = relative_mse(predict(network, held_out.inputs), held_out.targets)
    _, target = _pairs(run, "target")
    failing = relative_mse(predict(network, target.inputs), target.targets)
    return f"held-out relative MSE {error:.2f} on the base flow, {failing:.2f} on the target flow"


def _advise(run: Run, report: Report) -> str:
    network, _, _ = load_network(run.path("bnn"))
    advice = advise(
        network,
        _pairs(run, "target")[0],
        _pairs(run, "base")[1],
        samples=run.case.advice.samples,
        seed=run.case.seed,
        progress=lambda done, total: report(done / total),
    )
    advice.save(run.folder)
    best = advice.ranked()[0]
    return (
        f"re-train {best.name}: forecast relative MSE {best.predicted_error:.2f} "
        f"(BNN {advice.bnn_error:.2f})"
    )


def _verify(run: Run, report: Report) -> str:
    network, module, description = load_network(run.path("bnn"))
    training, held_out = _pairs(run, "target")
    sweep = verify(
        module,
        training,
        held_out,
        network.normalization,
        _settings(run.case.transfer, run.case.seed),
        run.path("sweep"),
        lambda done, total: report(done / total),
    )
    advice = json.loads(run.path("advice.json").read_text(encoding="utf-8"))
    comparison = compare(advice["rankings"], tuple(advice["layers"][0]["scores"]), sweep)
    values = sweep.to_dict() | {"comparison": comparison}
    write_text(run.path("sweep.json"), json.dumps(values, indent=2, ensure_ascii=False))
    (best,) = advice["best"]
    _, tuned, _ = load_network(run.path("bnn"))
    load_retrained(tuned, run.path("sweep"), best)
    tlnn = Network(tuned, network.normalization).eval()
    save_network(
        run.path("tlnn"),
        tlnn,
        factory=description["factory"],
        arguments=description["arguments"],
        grid=training.grid,
        provenance={"case": run.case.name, "retrained": [best], "seed": run.case.seed} | versions(),
    )
    _, home = _pairs(run, "base")
    offline = describe_offline(
        {
            "BNN on base": (predict(network, home.inputs), home),
            "BNN on target": (predict(network, held_out.inputs), held_out),
            "TLNN on target": (predict(tlnn, held_out.inputs), held_out),
        }
    )
    write_dataset(run.path("offline.nc"), offline)
    return _verdict(best, sweep, comparison["attainable decrease"]["rank_of_choice"])


def _verdict(best: str, sweep: Sweep, rank: int) -> str:
    errors = {layer.name: layer.error for layer in (*sweep.layers, sweep.all_layers)}
    lowest = min(sweep.layers, key=lambda layer: layer.error)
    return (
        f"advised {best}: {errors[best]:.2f}, rank {rank} of {len(sweep.layers)}; best "
        f"{lowest.name}: {lowest.error:.2f}; {ALL_LAYERS}: {errors[ALL_LAYERS]:.2f}; "
        f"BNN: {sweep.bnn_error:.2f}"
    )


def _explain(run: Run, report: Report) -> str:
    network, bnn, _ = load_network(run.path("bnn"))
    _, tlnn, description = load_network(run.path("tlnn"))
    (layer,) = description["provenance"]["retrained"]
    alone = _alone(run, bnn)
    explained = explain(
        network,
        tlnn,
        _pairs(run, "target")[1],
        _pairs(run, "base")[1],
        layer=layer,
        alone=alone,
        samples=EXPLAINED,
        seed=run.case.seed,
        progress=report,
    )
    changes = [_weight_change(bnn, alone[name], name) for name in explained["layer"].values]
    explained["weight_change"] = ("layer", changes)
    write_dataset(run.path("explanation.nc"), explained)
    counts = explained["class_count"].sel(stage="before").to_series()
    return f"kernels of {layer}: " + ", ".join(f"{n} {name}" for name, n in counts.items())


def _alone(run: Run, bnn: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the network after the re-training of each layer alone."""
    networks = {}
    for layer in trainable_layers(bnn):
        networks[layer.name] = copy.deepcopy(bnn)
        load_retrained(networks[layer.name], run.path("sweep"), layer.name)
    return networks


def _weight_change(bnn: torch.nn.Module, tuned: torch.nn.Module, name: str) -> float:
    """Return ‖ΔW‖/‖W‖ of a layer, its biases included."""
    before, after = (
        torch.cat([p.detach().flatten() for p in model.get_submodule(name).parameters()])
        for model in (bnn, tuned)
    )
    return float((after - before).norm() / before.norm())


def _online(run: Run, report: Report) -> str:
    scores = couple(
        run.case,
        _pairs(run, "target")[1],
        {name.upper(): load_network(run.path(name))[0] for name in ("bnn", "tlnn")},
        report,
    )
    write_dataset(run.path("online.nc"), scores)
    found = []
    for name in scores["closure"].values[1:]:
        one = scores.sel(closure=name)
        until = float(one["stable_until"])
        found.append(
            f"{name} {float(one['energy_spectrum_error']):.2f}"
            if until != until
            else f"{name} blew up at t = {until:.3g}"
        )
    return "energy-spectrum error: " + ", ".join(found)


def _report(run: Run, report: Report) -> str:
    # The page draws every figure again, twice: for the desktop and for the phone.
    save_figures(run.folder, lambda done, total: report(0.6 * done / total))
    return write_report(run.folder).name


def _pairs(run: Run, name: str) -> tuple[Pairs, Pairs]:
    """Return the training and the held-out pairs of a flow; the held-out ones are the later."""
    pairs = PairStore.open(run.path(f"{name}.zarr")).read()
    count = getattr(run.case, name).training
    return pairs.subset(slice(0, count)), pairs.subset(slice(count, None))


def _settings(budget: TrainingCase, seed: int) -> FitSettings:
    return FitSettings(budget.epochs, budget.batch, budget.learning_rate, seed)


STAGES = (
    Stage(
        "simulate",
        "simulate and filter both flows",
        ("grid", "base", "target"),
        (
            "base.zarr",
            "base.state.safetensors",
            "target.zarr",
            "target.state.safetensors",
            "flows.nc",
        ),
        _simulate,
    ),
    Stage(
        "train",
        "train the base network",
        ("network", "training"),
        ("bnn", "bnn.state.safetensors"),
        _train,
    ),
    Stage("advise", "advise", ("advice",), ("advice.json", "advice.nc"), _advise),
    Stage(
        "verify",
        "re-train every layer",
        ("transfer",),
        ("sweep", "sweep.json", "tlnn", "offline.nc"),
        _verify,
    ),
    Stage("explain", "explain", (), ("explanation.nc",), _explain),
    Stage("online", "large-eddy simulations", ("online",), ("online.nc",), _online),
    Stage("report", "report", (), ("report.html", "figures"), _report),
)
