"""The adapter of PyTorch: arrays in and out, devices, layouts, transforms; no op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import torch

from einspec.dtypes import ALL, numpy_dtype

framework = "torch"
dtypes = tuple(name for name in ALL if hasattr(torch, name))
known_devices = ("cpu", "cuda", "mps")

_CARRIERS = {1: (np.uint8, torch.uint8), 2: (np.int16, torch.int16)}
"""Integers that carry the bits of a dtype which NumPy and PyTorch do not share, by width."""


def devices() -> list[str]:
    """Return every device that is usable here."""
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def asarray(x: np.ndarray[Any, Any], device: str) -> torch.Tensor:
    """Return a tensor of the same bits on a device."""
    dtype = getattr(torch, x.dtype.name)
    if x.dtype.isbuiltin == 1:
        return torch.from_numpy(x.copy()).to(device)
    carrier, same_width = _CARRIERS[x.dtype.itemsize]
    return torch.from_numpy(x.view(carrier).copy()).to(device=device, dtype=same_width).view(dtype)


def to_numpy(x: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return the same bits as a NumPy array."""
    x = x.detach().cpu().resolve_conj().resolve_neg()
    name = str(x.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        carrier = _CARRIERS[x.element_size()][1]
        return x.contiguous().view(carrier).numpy().view(numpy_dtype(name))
    return x.numpy()


def is_array(x: object) -> bool:
    """Whether an op returned one of this framework's arrays."""
    return isinstance(x, torch.Tensor)


def device_of(x: torch.Tensor) -> str:
    """Return the device that an array is on."""
    return str(x.device)


def memory(device: str) -> int:
    """Return how many bytes are free on a device that has memory of its own."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def layouts(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the same values in other memory: what an op must not depend on."""
    reverse = tuple(range(x.ndim))[::-1]
    wide = torch.stack([x, x], -1)
    pitched = torch.cat([x, x[..., :1]], -1) if x.ndim else x
    storage = torch.empty(x.numel() + 3, dtype=x.dtype, device=x.device)
    storage[3:] = x.reshape(-1)
    return {
        "transposed": x.permute(reverse).clone(memory_format=torch.contiguous_format).permute(reverse),
        "permuted": x.movedim(0, -1).contiguous().movedim(-1, 0) if x.ndim else x,
        "channels_last": x.movedim(1, -1).contiguous().movedim(-1, 1) if x.ndim > 2 else x,
        "strided": wide[..., 0],
        "padded": pitched[..., : x.shape[-1]] if x.ndim else x,
        "offset": storage[3:].view(x.shape),
    }


def expanded(x: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Return the first slice along an axis, repeated without memory of its own (stride 0)."""
    return x.narrow(axis, 0, 1).expand(*x.shape[:axis], size, *x.shape[axis + 1 :])


def state() -> dict[str, Any]:
    """Return what is set for all of PyTorch, by name."""
    return {
        "the default dtype of PyTorch": torch.get_default_dtype(),
        "the default device of PyTorch": torch.get_default_device(),
        "the threads of PyTorch": torch.get_num_threads(),
        "the gradient mode of PyTorch": torch.is_grad_enabled(),
        "the deterministic mode of PyTorch": torch.are_deterministic_algorithms_enabled(),
        "the random state of PyTorch": torch.get_rng_state().numpy().tobytes(),
    }


def restore(found: Mapping[str, Any]) -> None:
    """Set it as it was."""
    torch.set_default_dtype(found["the default dtype of PyTorch"])
    if torch.get_default_device() != found["the default device of PyTorch"]:
        torch.set_default_device(found["the default device of PyTorch"])
    torch.set_num_threads(found["the threads of PyTorch"])
    torch.set_grad_enabled(found["the gradient mode of PyTorch"])
    torch.use_deterministic_algorithms(found["the deterministic mode of PyTorch"])
    torch.set_rng_state(torch.frombuffer(bytearray(found["the random state of PyTorch"]), dtype=torch.uint8))


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function traced whole by torch.compile, ahead of time but without a code generator."""
    torch._dynamo.reset()
    return torch.compile(fn, fullgraph=True, backend="aot_eager")


def generated(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled by Inductor, with symbols for sizes, in this process."""
    torch._dynamo.reset()
    return torch.compile(fn, fullgraph=True, dynamic=True, options={"compile_threads": 1})


def vmap(fn: Callable[..., Any], in_dims: tuple[int | None, ...], out_dim: int) -> Callable[..., Any]:
    """Return the function mapped over an axis of every argument that has one.

    PyTorch itself puts an output that no mapped argument has a bearing on along the first axis, whatever ``out_dims`` says.
    """
    mapped = torch.func.vmap(fn, in_dims)

    def moved(*args: Any) -> Any:
        outputs = mapped(*args)
        if isinstance(outputs, tuple | list):
            return tuple(y.movedim(0, out_dim) for y in outputs)
        return outputs.movedim(0, out_dim)

    return moved


def vjp(fn: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradient of every input, given those of the outputs; inside of another call it is differentiable again."""
    again = any(x.requires_grad for x in (*inputs, *cotangents))
    leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
    outputs = fn(*leaves)
    flat = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
    pairs = [(y, g) for y, g in zip(flat, cotangents, strict=True) if y.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in leaves]  # the gradient was cut on the way
    outer = [g for _, g in pairs]
    grads = torch.autograd.grad([y for y, _ in pairs], leaves, outer, create_graph=again, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, grads, strict=True)]


def jvp(fn: Callable[..., Any], inputs: Sequence[torch.Tensor], tangents: Sequence[torch.Tensor]) -> Any:
    """Return the tangents of the outputs, given those of the inputs."""
    return torch.func.jvp(fn, tuple(inputs), tuple(tangents))[1]


transforms: dict[str, Callable[..., Any]] = {
    "compile": compiled,
    "codegen": generated,
    "vmap": vmap,
    "vjp": vjp,
    "jvp": jvp,
}
