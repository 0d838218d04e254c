"""What compiled loops need of the machine below Numba: calls by address and atomic counters."""

# ruff: noqa: ARG001 (Numba looks at the names of the arguments of an intrinsic, whose types are its)

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["YIELD", "call", "load", "store"]

# Lets another thread have the core (POSIX).
YIELD: int = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0

INTEGER = ir.IntType(64)

# Of the arguments below, Numba passes the first by itself: type checkers do not know.
_intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic


@_intrinsic
def call(typing_context: Any, function: Any, argument: Any) -> Any:
    """Call the C function ``void f(void *)`` at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [INTEGER])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_intrinsic
def load(typing_context: Any, address: Any) -> Any:
    """Return the integer at an address, and see whatever was written before it was stored."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(
            builder.inttoptr(arguments[0], INTEGER.as_pointer()), "acquire", 8
        )

    return types.int64(types.int64), generate


@_intrinsic
def store(typing_context: Any, address: Any, value: Any) -> Any:
    """Store an integer at an address, after whatever was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(
            arguments[1], builder.inttoptr(arguments[0], INTEGER.as_pointer()), "release", 8
        )
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate
