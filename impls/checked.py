"""The argument checks of every backend: derived from the card, cached by shape, dtype and parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from einspec.arguments import check_arguments
from einspec.card import load
from einspec.lists import stacked_shape
from einspec.solve import solve

Function = TypeVar("Function", bound=Callable[..., Any])


def checker(kinds: tuple[type, ...] = (), tracing: Callable[[], bool] | None = None) -> Callable[[Function], Function]:
    """Return a decorator that checks the arguments of an op against the card of its name.

    Args:
        kinds: the classes of arrays that the functions take, the one that users know first; any where there are none.
        tracing: says that a compiler is reading the function; the checks are then left to the uncompiled call.
    """
    known: set[type] = set()

    def decorate(fn: Function) -> Function:
        name = fn.__name__
        parameters = inspect.signature(fn).parameters.values()
        inputs = [p for p in parameters if p.kind is p.POSITIONAL_ONLY or p.kind is p.POSITIONAL_OR_KEYWORD]
        listed = any("Sequence" in str(p.annotation) for p in inputs)
        cached = functools.lru_cache(maxsize=4096, typed=True)
        check_one = cached(lambda shape, dtype, _, /, **params: _check(name, (shape,), (dtype,), params))
        check_several = cached(lambda shapes, dtypes, _, /, **params: _check(name, shapes, dtypes, params))
        check_list = cached(lambda shapes, dtypes, _, /, **params: _check(name, (_stacked(name, shapes),), dtypes, params))

        @functools.wraps(fn)
        def one(x: Any, **params: Any) -> Any:
            if tracing is None or not tracing():
                try:
                    if type(x) not in known:
                        known.add(_admitted(name, x, kinds))
                    check_one(x.shape, x.dtype, _inside(params), **params)
                except (AttributeError, TypeError) as error:
                    raise _explain(name, (x,), params, error) from None
            return fn(x, **params)

        @functools.wraps(fn)
        def several(*xs: Any, **params: Any) -> Any:
            if tracing is None or not tracing():
                try:
                    if not known.issuperset(map(type, xs)):
                        known.update(_admitted(name, x, kinds) for x in xs)
                    check_several(tuple([x.shape for x in xs]), tuple([x.dtype for x in xs]), _inside(params), **params)
                except (AttributeError, TypeError) as error:
                    raise _explain(name, xs, params, error) from None
            return fn(*xs, **params)

        @functools.wraps(fn)
        def of_list(xs: Any, **params: Any) -> Any:
            if tracing is None or not tracing():
                try:
                    if not known.issuperset(map(type, xs)):
                        known.update(_admitted(name, x, kinds) for x in xs)
                    check_list(tuple([x.shape for x in xs]), tuple([x.dtype for x in xs]), _inside(params), **params)
                except (AttributeError, TypeError) as error:
                    raise _explain(name, (xs,), params, error) from None
            return fn(xs, **params)

        wrapper: Any = of_list if listed else one if len(inputs) == 1 else several
        return wrapper  # type: ignore[no-any-return]  # wraps keeps the signature

    return decorate


op = checker()
"""The decorator of functions that take arrays of any framework whose compiler sees concrete shapes."""


def _admitted(name: str, x: Any, kinds: tuple[type, ...]) -> type:
    """Return the class of an array that a backend takes.

    Raises:
        TypeError: it is an array of another framework, or none.
    """
    if not hasattr(x, "shape"):
        raise TypeError(f"{name}: expected arrays of the backend's framework, not {type(x).__name__}")
    if kinds and not isinstance(x, kinds):
        raise TypeError(
            f"{name}: takes {_named(kinds[0])} here, not {_named(type(x))}: convert it, or call the op of its framework"
        )
    return type(x)


def _named(kind: type) -> str:
    """Return a class as users import it: the package and the name."""
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _inside(params: dict[str, Any]) -> tuple[tuple[type, ...], ...]:
    """Return the types of numbers in tuples, which are equal for a cache where 1 is True and 1.0."""
    return tuple([tuple(map(type, value)) for value in params.values() if type(value) is tuple])


def _check(name: str, shapes: tuple[tuple[int, ...], ...], dtypes: tuple[Any, ...], params: dict[str, Any]) -> None:
    check_arguments(load(name), shapes, dtypes, params)


def _explain(name: str, inputs: tuple[Any, ...], params: dict[str, Any], error: Exception) -> Exception:
    """Return the error to raise when the fast path failed: the card's own text where it has one."""
    if "unhashable" in str(error):
        try:
            params = {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()}
            solve(load(name), tuple(_shape(name, x) for x in inputs), params)
        except (ValueError, TypeError) as better:
            return better
        return TypeError(f"{name}: give the parameters as integers and tuples, not lists")
    return error


def _shape(name: str, x: Any) -> tuple[int, ...]:
    return _stacked(name, tuple(e.shape for e in x)) if isinstance(x, list | tuple) else tuple(x.shape)


def _stacked(name: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return stacked_shape(load(name), shapes)
