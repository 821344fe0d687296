"""Sheets: the calls of an op with their answers, made when they are first needed and kept on disk.

A file holds the calls of one clause in one tier, under the digest of all that they depend on: the card and those that it
uses, the code that gives it a meaning and asks for it, the packages that compute it. A file that is damaged, of another
digest or of another format is made anew; one that cannot be written costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import einspec
from einspec.card import Op, load, paths, used
from einspec.conformance.checks.block import Block
from einspec.conformance.checks.scene import Scene
from einspec.conformance.clauses import build

FORMAT = b"einspec sheet 1\n"
"""What a file begins with."""
CODE = ("language", "semantics", "calls", "answers")
"""The rooms of the spec on which an answer rests."""
ASKED = ("checks", "clauses.py", "protocol.py", "trial.py")
"""What of the judge decides which calls are asked, and how they are kept."""
PACKAGES = ("numpy", "ml_dtypes", "hypothesis")
"""The packages that make up values and compute answers."""
HELD = 64
"""How many blocks are kept in memory."""
_decoder = msgspec.msgpack.Decoder(Block)


class SheetStore:
    """Sheets in a folder; in memory alone where there is none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.held: dict[tuple[str, str], Block] = {}
        self.writes = folder is not None
        """Whether what is made is written."""

    def block(self, scene: Scene, clause: str, tier: str) -> Block:
        """Return the calls of a clause in a tier, made if they are not there."""
        name = scene.op.name
        key = key_of(scene, clause, tier)
        if (name, key) not in self.held:
            block = self.read(name, key)
            if block is None:
                for (other, own_tier), made in build(scene, clause, tier).items():
                    own = key_of(scene, other, own_tier)
                    self.keep(name, own, made)
                    self.write(name, own, made)
            else:
                self.keep(name, key, block)
        return self.held[name, key]

    def keep(self, op: str, key: str, block: Block) -> None:
        """Hold a block in memory, and no more than some."""
        while len(self.held) >= HELD:
            self.held.pop(next(iter(self.held)))
        self.held[op, key] = block

    def path(self, op: str, key: str) -> Path:
        """Return the file of a block."""
        assert self.folder is not None
        return folder_of(self.folder, op) / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.sheet"

    def read(self, op: str, key: str) -> Block | None:
        """Return a block that was kept; None where there is none that can be used."""
        if self.folder is None:
            return None
        try:
            data = self.path(op, key).read_bytes()
        except OSError:
            return None
        return unpack(data, key)

    def write(self, op: str, key: str, block: Block) -> None:
        """Keep a block, as far as that is possible."""
        if not self.writes or self.folder is None:
            return
        path = self.path(op, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
                temporary = Path(file.name)
                file.write(pack(block, key))
            temporary.replace(path)
        except OSError:
            self.writes = False
            with contextlib.suppress(OSError, UnboundLocalError):
                temporary.unlink()


def pack(block: Block, key: str) -> bytes:
    """Return a block as the bytes of a file: a checksum of all that follows it, the key, the calls and the answers."""
    body = zlib.compress(msgspec.msgpack.encode(block), 1)
    name = key.encode()
    rest = len(name).to_bytes(4, "little") + name + body
    return FORMAT + hashlib.blake2b(rest, digest_size=16).digest() + rest


def unpack(data: bytes, key: str) -> Block | None:
    """Return the block of a file; None where it is damaged or another one."""
    head = len(FORMAT) + 16
    rest = data[head:]
    if not data.startswith(FORMAT) or hashlib.blake2b(rest, digest_size=16).digest() != data[len(FORMAT) : head]:
        return None
    length = int.from_bytes(rest[:4], "little")
    if rest[4 : 4 + length] != key.encode():
        return None
    try:
        return _decoder.decode(zlib.decompress(rest[4 + length :]))
    except (zlib.error, msgspec.DecodeError):
        return None


def key_of(scene: Scene, clause: str, tier: str) -> str:
    """Return what tells the calls of a clause from those of others of the same op."""
    taken = "" if scene.taken is None else ",".join(map(str, scene.taken))
    domain = "" if scene.op.domain is None else f" {scene.op.domain.text}"
    return f"{clause} {tier} {scene.profile.key} {taken}{domain}".rstrip()


def folder_of(folder: Path, op: str) -> Path:
    """Return where the sheets of an op are kept."""
    return folder / f"{op}-{digest(op)}"


def digest(op: str) -> str:
    """Return the digest of all on which the calls and answers of an op depend."""
    return _digest(load(op))


@functools.cache
def _digest(op: Op) -> str:
    found = hashlib.sha256(code_digest().encode())
    for name in sorted({op.name, *used(op)}):
        found.update(paths()[name].read_bytes())
    return found.hexdigest()[:24]


@functools.cache
def code_digest() -> str:
    """Return the digest of the code that gives cards a meaning and asks for it, and of what computes it."""
    root = Path(einspec.__file__).parent
    files = [*root.glob("*.py"), *(f for room in CODE for f in (root / room).rglob("*.py"))]
    for part in ASKED:
        place = Path(__file__).parent.parent / part
        files += [*place.rglob("*.py")] if place.is_dir() else [place]
    found = hashlib.sha256(FORMAT)
    for file in sorted(files):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    for package in PACKAGES:
        found.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    return found.hexdigest()


@dataclass(frozen=True)
class Kept:
    """What is kept of an op."""

    op: str
    place: Path
    current: bool
    """Whether it can still be used."""
    files: int
    bytes: int


def kept(folder: Path) -> Iterator[Kept]:
    """Yield what is kept in a folder, op by op."""
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        op, _, own = place.name.rpartition("-")
        if op and place.is_dir():
            sizes = [f.stat().st_size for f in place.glob("*.sheet")]
            current = op in paths() and own == digest(op)
            yield Kept(op, place, current, len(sizes), sum(sizes))


def clear(folder: Path, ops: Sequence[str] = (), stale_only: bool = False) -> int:
    """Remove what is kept, or what can no longer be used, and return how many bytes that were."""
    freed = 0
    for entry in list(kept(folder)):
        if (ops and entry.op not in ops) or (stale_only and entry.current):
            continue
        freed += sum(f.stat().st_size for f in entry.place.rglob("*") if f.is_file())
        shutil.rmtree(entry.place, ignore_errors=True)
    return freed


def sheets_directory() -> Path:
    """Return where sheets are kept."""
    from einspec.conformance.run.request import cache_directory

    return cache_directory() / "sheets"


def store() -> SheetStore:
    """Return the sheets of this user; in memory alone where EINSPEC_SHEETS is ``off``."""
    return SheetStore(None if os.environ.get("EINSPEC_SHEETS") == "off" else sheets_directory())
