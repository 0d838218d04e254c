"""Build the user's own model from ``package.module:factory`` and a weights file."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from spectune.errors import ModelError

__all__ = ["build_model", "load_weights"]


def build_model(spec: str, **arguments: object) -> nn.Module:
    """Import ``package.module:factory`` and call it.

    Args:
        spec: import path of a class or function that returns a module. The current directory is
            searched too.
        arguments: passed to the factory.

    Raises:
        ModelError: the path is malformed, cannot be imported, or does not return a module.
    """
    module_name, _, factory_name = spec.partition(":")
    if not module_name or not factory_name:
        raise ModelError(f"model '{spec}': expected 'package.module:factory'")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"model '{spec}': cannot import '{module_name}' ({error}); "
            "run from the folder that holds it, or install it"
        ) from error
    except Exception as error:  # the user's module may raise anything
        raise ModelError(
            f"model '{spec}': importing '{module_name}' failed: {type(error).__name__}: {error}"
        ) from error
    factory = getattr(module, factory_name, None)
    if factory is None:
        near = get_close_matches(factory_name, dir(module), n=3)
        hint = f"; nearest names: {', '.join(near)}" if near else ""
        raise ModelError(f"model '{spec}': '{module_name}' has no '{factory_name}'{hint}")
    try:
        model = factory(**arguments)
    except Exception as error:  # the user's factory may raise anything
        raise ModelError(
            f"model '{spec}': the factory could not be called: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"model '{spec}': expected a torch.nn.Module, found {type(model).__name__}"
        )
    return model


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a safetensors file into a model, in place.

    Raises:
        ModelError: the file is missing, is not safetensors (pickles are refused: opening one runs
            whatever code it holds), or names and shapes differ from the model's.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"weights {path}: no such file")
    with path.open("rb") as file:
        head = file.read(2)
    # A zip (torch.save) or the PROTO opcode of a pickle; safetensors starts with a length.
    is_pickle = head == b"PK" or (head[:1] == b"\x80" and head[1:] <= b"\x05")
    if is_pickle or path.suffix in {".pt", ".pth", ".pkl", ".ckpt", ".bin"}:
        raise ModelError(
            f"weights {path}: this is a pickle, which can run any code when opened, and is refused;"
            " convert it where you trust it: safetensors.torch.save_file(model.state_dict(), "
            "'weights.safetensors')"
        )
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weights {path}: not a readable safetensors file ({error})") from error
    problems = _mismatches(model.state_dict(), weights)
    if problems:
        shown = "\n".join(f"  {line}" for line in problems[:12])
        more = f"\n  … and {len(problems) - 12} more" if len(problems) > 12 else ""
        raise ModelError(f"weights {path} do not fit the model:\n{shown}{more}")
    model.load_state_dict(weights)


def _mismatches(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    problems = []
    for name, value in expected.items():
        if name not in found:
            problems.append(f"{name}: expected {tuple(value.shape)}, missing in the file")
        elif found[name].shape != value.shape:
            problems.append(
                f"{name}: expected {tuple(value.shape)}, found {tuple(found[name].shape)}"
            )
    problems += [
        f"{name}: found {tuple(value.shape)}, not in the model"
        for name, value in found.items()
        if name not in expected
    ]
    return problems
