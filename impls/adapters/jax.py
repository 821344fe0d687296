"""The adapter of JAX: arrays in and out, devices, layouts, transforms; no op."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import psutil

from einspec.dtypes import ALL

framework = "jax"
dtypes = ALL
known_devices = ("cpu", "cuda", "tpu")
loses_nan_in_maxima = True
"""XLA on the CPU may lose NaN in a maximum, depending on the shape; the ops here guard against it."""
flushes_subnormals = True
"""XLA on the CPU may flush subnormal numbers to zero."""

WIDE = frozenset(("int64", "uint64", "float64", "complex128"))
"""Dtypes that JAX holds only with x64 enabled."""

QUICK_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""Compiler options for breadth on the CPU: the same semantics in a third of the compile time."""

MISROUNDED = frozenset(("float8_e5m2fnuz",))
"""Dtypes whose least normal numbers XLA rounds wrongly without its fusion emitters."""


def start(cache: Path) -> None:
    """Keep compiled code between runs: nothing is too small or too quick to be kept."""
    jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))  # type: ignore[no-untyped-call]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)  # type: ignore[no-untyped-call]
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)  # type: ignore[no-untyped-call]


def devices() -> list[str]:
    """Return every device that is usable here."""
    found = dict.fromkeys((*jax.devices(), *jax.devices("cpu")))
    return sorted((_device_name(d) for d in found), key=lambda name: (name.partition(":")[0] != "cpu", name))


def _device_name(device: Any) -> str:
    platform = {"gpu": "cuda"}.get(device.platform, device.platform)
    return "cpu" if platform == "cpu" and device.id == 0 else f"{platform}:{device.id}"


def _device(name: str) -> Any:
    return next(d for d in (*jax.devices(), *jax.devices("cpu")) if _device_name(d) == name)


def asarray(x: np.ndarray[Any, Any], device: str) -> jax.Array:
    """Return an array of the same bits on a device."""
    array: jax.Array = jax.device_put(x, _device(device))
    return array


def to_numpy(x: jax.Array) -> np.ndarray[Any, Any]:
    """Return the same bits as a NumPy array."""
    return np.asarray(x)


def is_array(x: object) -> bool:
    """Whether an op returned one of this framework's arrays."""
    return isinstance(x, jax.Array)


def device_of(x: jax.Array) -> str:
    """Return the device that an array is on."""
    return _device_name(next(iter(x.devices())))


def memory(device: str) -> int:
    """Return how many bytes are free on a device: what JAX may still take of it, or what the host has."""
    known = _device(device).memory_stats() or {}
    if "bytes_limit" in known:
        return int(known["bytes_limit"] - known["bytes_in_use"])
    return int(psutil.virtual_memory().available)


@contextlib.contextmanager
def holding(names: Iterable[str]) -> Iterator[None]:
    """Make JAX hold these dtypes while the context is open."""
    with jax.enable_x64(True) if WIDE & set(names) else contextlib.nullcontext():
        yield


SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_disable_jit", "jax_debug_nans")
"""What is set for all of JAX and changes results."""


def state() -> dict[str, Any]:
    """Return what is set for all of JAX, by name."""
    return {name: getattr(jax.config, name) for name in SETTINGS}


def restore(found: Mapping[str, Any]) -> None:
    """Set it as it was."""
    for name in SETTINGS:
        if getattr(jax.config, name) != found[name]:
            jax.config.update(name, found[name])  # type: ignore[no-untyped-call]


def _options(args: Any) -> dict[str, Any] | None:
    """Return the compiler options for a function of arrays: quick ones on the CPU, none within another compilation."""
    leaves = jax.tree.leaves(args)
    within = any(isinstance(x, jax.core.Tracer) for x in leaves)
    if within or jax.default_backend() != "cpu" or not MISROUNDED.isdisjoint(x.dtype.name for x in leaves):
        return None
    return QUICK_COMPILE


def many(calls: Sequence[Callable[..., Any]], inputs: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the results of many calls under one jit: compiling them together is cheaper than one by one.

    Calls of one function on arrays of the same shapes and dtypes are compiled once and run one after the other.
    """
    alike: dict[Any, list[int]] = {}
    for i, (call, args) in enumerate(zip(calls, inputs, strict=True)):
        leaves, tree = jax.tree.flatten(list(args))
        alike.setdefault((call, tree, *((x.dtype, x.shape) for x in leaves)), []).append(i)
    functions = [key[0] for key in alike]
    options = _options(list(inputs))
    run = jax.jit(lambda args: [call(*a) for call, a in zip(functions, args, strict=True)], compiler_options=options)
    results: list[Any] = [None] * len(calls)
    for turn in range(max(map(len, alike.values()), default=0)):
        chosen = [own[min(turn, len(own) - 1)] for own in alike.values()]
        for i, result in zip(chosen, run([tuple(inputs[i]) for i in chosen]), strict=True):
            results[i] = result
    return results


def vjp(fn: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Return the gradient of every input, given those of the outputs."""

    def pull(args: Sequence[Any], outer: Any) -> Any:
        return jax.vjp(fn, *args)[1](outer)

    args = tuple(inputs), tuple(cotangents) if len(cotangents) > 1 else cotangents[0]
    return list(jax.jit(pull, compiler_options=_options(args))(*args))


def jvp(fn: Callable[..., Any], inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the tangents of the outputs, given those of the inputs."""

    def push(args: Sequence[Any], along: Sequence[Any]) -> Any:
        return jax.jvp(fn, args, along)[1]

    args = tuple(inputs), tuple(tangents)
    return jax.jit(push, compiler_options=_options(args))(*args)


def vmap(fn: Callable[..., Any], in_axes: tuple[int | None, ...], out_axes: int) -> Callable[..., Any]:
    """Return the function mapped over an axis of every argument that has one, compiled."""
    mapped = jax.vmap(fn, in_axes, out_axes)
    return lambda *args: jax.jit(mapped, compiler_options=_options(args))(*args)


transforms: dict[str, Callable[..., Any]] = {"jit": jax.jit, "vmap": vmap, "vjp": vjp, "jvp": jvp}
