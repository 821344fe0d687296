"""What the operating system can do to keep a candidate from the process that judges it; on Linux alone.

A process of the same user may look into another's memory and descriptors. It may not where the other one is not dumpable,
or has a capability that it lacks itself: so a judge is not dumpable, and a candidate loses the one to trace processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys

SET_PDEATHSIG, SET_DUMPABLE, CAPBSET_DROP, SET_CHILD_SUBREAPER = 1, 4, 24, 36
"""Numbers of ``prctl`` in the interface of the kernel."""
SYS_PTRACE = 19
"""The number of the capability to trace processes."""
CAPABILITY_VERSION = 0x20080522
"""The version of ``capset`` that has 64 capabilities, in two words."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def confine_candidate() -> None:
    """End with the process that began this one, and give up to trace others; as far as the system has such things."""
    for libc in _libc():
        libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(CAPBSET_DROP, SYS_PTRACE, 0, 0, 0)
        header, words = _Header(CAPABILITY_VERSION, 0), (_Words * 2)()
        if libc.capget(ctypes.byref(header), words) == 0:
            keep = ~(1 << SYS_PTRACE) & 0xFFFFFFFF
            for name in ("effective", "permitted", "inheritable"):
                setattr(words[0], name, getattr(words[0], name) & keep)
            libc.capset(ctypes.byref(header), words)


def protect_judge() -> None:
    """Let no process of the same user look into this one, and inherit what a candidate leaves behind."""
    for libc in _libc():
        libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _libc() -> list[ctypes.CDLL]:
    """Return the C library where the system is Linux."""
    if sys.platform != "linux":
        return []
    with contextlib.suppress(OSError, AttributeError):
        return [ctypes.CDLL(None, use_errno=True)]
    return []
