"""A rank: it joins its group, imports the file of a candidate and makes the calls that it is told, on its part of them."""

from __future__ import annotations

import faulthandler
import functools
import inspect
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from einspec.card import load, paths
from einspec.conformance.confine import confine_candidate
from einspec.conformance.protocol import Loaded, Settled
from einspec.conformance.runner.independence import Watch
from einspec.conformance.runner.loading import GROUP, Candidate, Module, adapter_of, takes_group
from einspec.conformance.runner.ranks.messages import Channel, Fork, Made, Make, Meet, Met
from einspec.conformance.runner.ranks.ways import RankCalls
from einspec.conformance.runner.state import changes, process_state, restore
from einspec.conformance.targets.adapter import ADAPTER, OPTIONAL
from einspec.conformance.targets.names import TargetError

DEVICE = "cpu x gloo"
"""The processor, and what ranks talk to each other by."""
TRANSFORMS = ("compile", "vjp", "jvp")
"""What is done to a function inside a rank; a map over calls would have the ranks meet in one of them."""
PATIENCE = timedelta(days=1)
"""How long a rank waits for others by itself: whether it waits for ever is seen from outside."""


class NoGradientError(RuntimeError):
    """No output of a function has a gradient, as its collectives know none."""


def main(request: Fork, number: int, world: int, descriptor: int, watch: Watch) -> NoReturn:
    """Be a rank until nobody asks any more."""
    status = 1
    try:
        confine_candidate()
        _trace_into(Path(request.folder) / f"rank{number}")
        channel = Channel(socket.socket(fileno=descriptor))
        _serve(channel, request, number, world, watch)
        status = 0
    except (EOFError, OSError):
        status = 0
    finally:
        os._exit(status)


def _trace_into(path: Path) -> None:
    """Write to a file where this process is, when it is asked and when it is lost."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    faulthandler.enable(descriptor)
    faulthandler.register(signal.SIGUSR1, descriptor, all_threads=False)


def _serve(channel: Channel, request: Fork, number: int, world: int, watch: Watch) -> None:
    """Join the others, import the file, say what is in it, and make calls."""
    group = join(Path(request.folder), number, world, request.others)
    try:
        candidate = candidate_of(request, group)
        target = candidate.describe()
    except TargetError as error:
        channel.say(Loaded(problem=str(error)))
        return
    channel.say(Loaded((target,)))
    calls = RankCalls(candidate, DEVICE, number - request.others)
    before = process_state(candidate.adapter)
    warnings.simplefilter("ignore")  # what a framework warns of is no news here
    while True:
        message = channel.heard(object)
        if isinstance(message, Make):
            (outcome,) = calls.make(message.op, [message.call], lambda _: True)
            channel.say(Made(outcome))
            continue
        if isinstance(message, Meet):
            channel.say(Met(meet(group)))
            continue
        changed = tuple(changes(before, process_state(candidate.adapter)))
        if changed:
            restore(candidate.adapter, before)
        channel.say(Settled(0, changed, bool(candidate.positional), watch.used()))


def join(folder: Path, number: int, world: int, others: int) -> Any:
    """Return the group of this rank, once all ranks are there.

    Args:
        folder: where they find each other.
        number: of this rank.
        world: how many there are.
        others: how many of them, the first, are in another group.
    """
    import torch
    import torch.distributed as dist

    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # who is not of this machine is not to be heard
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=world, timeout=PATIENCE)
    if not others:
        return dist.group.WORLD
    groups = [dist.new_group(list(range(others))), dist.new_group(list(range(others, world)))]
    return groups[number >= others]


def meet(group: Any) -> tuple[int, ...]:
    """Return the ranks of a group as each says its own number, in one collective; none where that fails."""
    import torch
    import torch.distributed as dist

    try:
        found = torch.full((dist.get_world_size(group),), -1)
        dist.all_gather_into_tensor(found, torch.tensor([dist.get_rank(group)]), group=group)
    except (RuntimeError, ValueError):  # who has left it, or whose peer has
        return ()
    return tuple(found.tolist())


def candidate_of(request: Fork, group: Any) -> Candidate:
    """Return the functions of ranks in a file, each with its group.

    Raises:
        TargetError: there is none, or one stands for an op that knows no ranks.
    """
    adapter = adapter_of("torch")
    module = Module(request.name)
    if module.is_backend:
        raise TargetError(f"{module.name} is a backend: --ranks judges files of functions that take {GROUP}")
    module.choose(request.functions)
    candidate = Candidate(module.name, ranks_adapter(adapter), module.load, True, module.module)
    for op, (label, function) in module.functions.items():
        if not takes_group(function):
            continue
        if not load(op).card.ranks.axes:
            known = ", ".join(name for name in paths() if load(name).card.ranks.axes)
            raise TargetError(f"{module.name}: {label} takes {GROUP}, and {op} has no axes of ranks; those that do: {known}")
        candidate.functions[op], candidate.labels[op] = with_group(function, group), label
        if label != op:
            candidate.load += f"\n{op} = {label}"
    if not candidate.functions:
        found = ", ".join(label for label, _ in module.functions.values())
        raise TargetError(f"{module.name}: {found} takes no {GROUP}: a function of ranks is one such as {_example(module)}")
    return candidate


def _example(module: Module) -> str:
    """Return how the first function of a file would begin if it ran on ranks."""
    op, (label, _) = next(iter(module.functions.items()))
    form = next(iter(load(op).forms.values()))
    names = [s.name for s in form.signature.inputs]
    return f"def {label}({', '.join([*names, '*', *load(op).card.params, GROUP])})"


def with_group(function: Callable[..., Any], group: Any) -> Callable[..., Any]:
    """Return a function with its group bound, as a mesh of one axis where that is what it asks for."""
    given = inspect.signature(function).parameters
    if "DeviceMesh" in str(given[GROUP].annotation):
        from torch.distributed.device_mesh import DeviceMesh

        group = DeviceMesh.from_group(group, "cpu")

    @functools.wraps(function)
    def call(*args: Any, **params: Any) -> Any:
        return function(*args, **params, **{GROUP: group})

    left = [p for name, p in given.items() if name != GROUP]
    call.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
    return call


def ranks_adapter(adapter: Any) -> Any:
    """Return the adapter of a framework as it is inside a rank."""
    names = {n: getattr(adapter, n) for n in (*ADAPTER, *OPTIONAL) if hasattr(adapter, n)}
    own = SimpleNamespace(**names)
    own.devices = lambda: [DEVICE]
    own.known_devices = ()
    own.asarray = lambda x, _: adapter.asarray(x, "cpu")
    own.device_of = lambda x: DEVICE if adapter.device_of(x) == "cpu" else adapter.device_of(x)
    own.transforms = {name: adapter.transforms[name] for name in TRANSFORMS}
    own.transforms["vjp"] = functools.partial(_vjp, adapter.transforms["vjp"])
    own.transforms["jvp"] = functools.partial(_jvp, adapter.transforms["jvp"])
    del own.memory
    return own


def _vjp(vjp: Callable[..., Any], fn: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[Any]) -> Any:
    """Return the gradients of inputs; collectives that cut all of them off raise here as they do for who asks for one."""
    return vjp(_followed(fn, lambda y: y.requires_grad), inputs, cotangents)


def _jvp(jvp: Callable[..., Any], fn: Callable[..., Any], inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the tangents of outputs; collectives that lose all of them raise here too, where PyTorch has zeros for them."""
    from torch.autograd.forward_ad import unpack_dual

    return jvp(_followed(fn, lambda y: unpack_dual(y).tangent is not None), inputs, tangents)  # type: ignore[no-untyped-call]


def _followed(fn: Callable[..., Any], follows: Callable[[Any], bool]) -> Callable[..., Any]:
    """Return a function that raises where none of its outputs is differentiated with its inputs."""

    def checked(*leaves: Any) -> Any:
        outputs = fn(*leaves)
        flat = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
        if not any(map(follows, flat)):
            raise NoGradientError("no output has a gradient, although an input asks for one")
        return outputs

    return checked
