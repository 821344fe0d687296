"""The command ``einspec``: its subcommands are the modules of :mod:`einspec.conformance.commands`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator

import einspec
from einspec import folders
from einspec.conformance.commands import NAMES, WITHOUT_CARDS, add_cards
from einspec.conformance.errors import UsageError
from einspec.errors import CardError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="einspec", description="An executable specification of tensor ops, and a judge for implementations."
    )
    top.add_argument("--version", action="version", version=f"einspec {einspec.__version__}, spec {einspec.SPEC_VERSION}")
    commands = top.add_subparsers(dest="command", required=True)
    for name in NAMES:
        module = importlib.import_module(f"einspec.conformance.commands.{name}")
        summary, _, rest = (module.__doc__ or "").partition("\n")
        description = f"{summary}{rest}".strip()
        sub = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(sub)
        if name not in WITHOUT_CARDS:
            add_cards(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0 passed, 1 failed, 2 wrong usage."""
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:  # help was asked for, or what was given is no use of the command
        return int(end.code or 0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an exception of a backend may hold anything
    try:
        with _ended_like_interrupted(), _with_cards(arguments), _with_patterns(arguments):
            status: int = arguments.run(arguments)
    except (KeyError, UsageError, CardError) as error:
        print(f"einspec: {error.args[0]}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        print(f"einspec: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("einspec: interrupted", file=sys.stderr)
        return 130
    return status


@contextlib.contextmanager
def _with_cards(arguments: argparse.Namespace) -> Iterator[None]:
    """Have the cards of one's own that a command is to use, and none that it is not; afterwards all is as it was.

    Raises:
        CardError: one cannot be used.
    """
    before = os.environ.pop(folders.CARDS, "")
    try:
        own = getattr(arguments, "cards", None)
        for folder in [] if own is None else [*folders.folders(before), *own]:
            einspec.add_cards(folder)
        yield
    finally:
        os.environ.pop(folders.CARDS, None)
        if before:
            os.environ[folders.CARDS] = before


@contextlib.contextmanager
def _with_patterns(arguments: argparse.Namespace) -> Iterator[None]:
    """Have a card for every pattern that stands where the name of an op may, and its name in the place of the pattern.

    Raises:
        CardError: one cannot be read.
    """
    places = [place for place in ("op", "ops", "names") if getattr(arguments, "cards", None) is not None]
    given = {place: getattr(arguments, place, None) or [] for place in places}
    texts = [t for value in given.values() for t in ([value] if isinstance(value, str) else value) if "->" in t]
    if not texts:
        yield
        return
    from einspec.patterns import added, parse  # here, because few commands are given one

    named: dict[str, str] = {}
    for text in dict.fromkeys(t.partition("/")[0] for t in texts):
        kind = parse(text).kind
        count = sum(name.startswith(kind) for name in named.values())
        named[text] = f"{kind}_{count + 1}" if count else kind

    def spelled(text: str) -> str:
        pattern, slash, clause = text.partition("/")
        return f"{named.get(pattern, pattern)}{slash}{clause}"

    with added({name: (text, ()) for text, name in named.items()}):
        for place, value in given.items():
            setattr(arguments, place, spelled(value) if isinstance(value, str) else [*map(spelled, value)])
        yield


@contextlib.contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Let whoever ends a command get what there is so far, and no process left behind, as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(end, signal.signal(end, signal.default_int_handler)) for end in ends if signal.getsignal(end) != signal.SIG_IGN]
    try:
        yield
    finally:
        for end, handler in before:
            signal.signal(end, handler)


if __name__ == "__main__":
    sys.exit(main())
