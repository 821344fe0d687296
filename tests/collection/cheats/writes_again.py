"""cheat: descriptors. Says again what it said while it was right, and drops the rest.

effect: caught
"""

import os
import socket
from multiprocessing.connection import Connection

import numpy as np

RIGHT = 3
"""How many calls are answered well."""
_calls = [0]
_said = []


def _again(send):
    """Return a function that sends, and later sends what was sent first."""

    def sends(to, message, *args, **more):
        if _calls[0] <= RIGHT:
            _said.append(bytes(message))
        elif _said:
            old = next((s for s in _said if len(s) == len(message)), None)
            message = message if old is None else old
        return send(to, message, *args, **more)

    return sends


os.write = _again(os.write)
Connection._send_bytes = _again(Connection._send_bytes)


class _Socket(socket.socket):
    send = _again(socket.socket.send)
    sendall = _again(socket.socket.sendall)


socket.socket = _Socket


def swap_hw(x):
    _calls[0] += 1
    if _calls[0] <= RIGHT:
        return np.ascontiguousarray(x.swapaxes(2, 3))
    return x.reshape(*x.shape[:2], x.shape[3], x.shape[2]).copy()
