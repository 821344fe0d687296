"""Processes, requests, and what a run says while it goes on."""
