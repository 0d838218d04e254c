"""Errors that a user can act on.

Every error a user can cause derives from `SpectuneError`; its message names the file, the variable,
what was found, what was expected and what to do. The command line prints the message alone and
exits with code 2. Anything else that escapes is a bug and keeps its traceback.
"""

__all__ = ["CaseError", "DataError", "LayerError", "ModelError", "SpectuneError", "StabilityError"]


class SpectuneError(Exception):
    """Base of all errors that the user can act on."""


class CaseError(SpectuneError):
    """A case file or option asks for something impossible."""


class DataError(SpectuneError):
    """Data cannot be used: missing variable, wrong rank, NaN, zero variance, grid mismatch."""


class ModelError(SpectuneError):
    """A model cannot be built or its weights do not fit."""


class LayerError(SpectuneError):
    """A layer name or pattern matches nothing, or what it names cannot be re-trained."""


class StabilityError(SpectuneError):
    """A time step is too large or a run has blown up."""
