"""What pydantic found wrong, in lines for a user."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["problems"]


def problems(error: ValidationError, whole: str = "values") -> str:
    """Return one line for each problem: its place, what was expected and what was found.

    Args:
        error: of a model.
        whole: what to call the place of a problem that concerns no single value.
    """
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]) or whole
        # A whole section says nothing that its name does not.
        found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
        lines.append(f"  {place}: {problem['msg']}{found}")
    return "\n".join(lines)
