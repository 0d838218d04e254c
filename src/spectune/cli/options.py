"""Options of the command line made from the fields of the catalogue."""

from __future__ import annotations

from inspect import Parameter as Argument
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from pydantic import BaseModel

from spectune.runs import RunSettings, SystemParameters

__all__ = ["Names", "Out", "keyword", "setting_options", "system_options"]

Out = Annotated[Path, Parameter(name=("--out", "-o"))]
"""Where a command writes."""

Names = Annotated[list[str] | None, Parameter(consume_multiple=True)]
"""Names of variables, several after one option."""

_SYSTEM = Group("System", sort_key=1)
_RUN = Group("Run", sort_key=2)


def system_options(kind: type[SystemParameters]) -> list[Argument]:
    """Return an option for each parameter of a system, with meaning, unit and default."""
    return [
        _option(kind, name, [kind.unit_of(name), f"default {kind.default_of(name)}"], _SYSTEM)
        for name in kind.model_fields
    ]


def setting_options(kind: type[SystemParameters]) -> list[Argument]:
    """Return an option for each setting of a run of a system."""
    options = []
    for name, field in RunSettings.model_fields.items():
        default = {"every": f"{kind.every:g}", "scheme": kind.scheme}.get(name, field.default)
        required = name == "time"
        unit = kind.time_unit if name in ("time", "every", "spinup", "dt") else "1"
        notes = [unit] if required or default is None else [unit, f"default {default}"]
        options.append(_option(RunSettings, name, notes, _RUN, required=required))
    return options


def keyword(name: str, kind: Any, parameter: Parameter, default: Any = Argument.empty) -> Argument:
    """Return an option as an argument of a function."""
    annotation = Annotated[kind, parameter]
    return Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(
    model: type[BaseModel], name: str, notes: list[str], group: Group, *, required: bool = False
) -> Argument:
    field = model.model_fields[name]
    said = "; ".join(note for note in notes if note != "1")
    text = f"{field.description}" + (f" [{said}]" if said else "")
    # Without a value an option is left out, so that presets and the system decide.
    parameter = Parameter(help=text, group=group, show_default=False)
    if required:
        return keyword(name, field.annotation, parameter)
    annotation: Any = field.annotation
    return keyword(name, annotation | None, parameter, None)
