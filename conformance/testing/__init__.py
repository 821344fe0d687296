"""The judge as functions, for tests that somebody writes: what :mod:`einspec.testing` offers."""
