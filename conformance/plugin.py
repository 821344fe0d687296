"""Options of ``pytest --pyargs einspec.conformance``: name this plugin with ``-p einspec.conformance.plugin``.

Without it the same choices come from the environment: EINSPEC_BACKENDS, EINSPEC_OPS, EINSPEC_DEVICES, EINSPEC_TIES and
EINSPEC_STRICT.
"""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("einspec")
    group.addoption("--backend", action="append", default=[], help="a backend, dotted module or file to judge; may be repeated")
    group.addoption("--op", action="append", default=[], help="only this op; may be repeated")
    group.addoption("--device", action="append", default=[], help="only this device; may be repeated")
    group.addoption("--ties", choices=("first", "any"), default="first", help="what selections promise among equal values")
    group.addoption("--strict-refusals", action="store_true", help="a refusal fails")


def pytest_configure(config: pytest.Config) -> None:
    """Hand the options on to the test module."""
    for option, variable in {"backend": "EINSPEC_BACKENDS", "op": "EINSPEC_OPS", "device": "EINSPEC_DEVICES"}.items():
        values = config.getoption(option)
        if values:
            os.environ[variable] = os.pathsep.join(values)
    os.environ["EINSPEC_TIES"] = config.getoption("ties")
    if config.getoption("strict_refusals"):
        os.environ["EINSPEC_STRICT"] = "1"
