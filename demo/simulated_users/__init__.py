"""Simulated users: they request lists, click according to a position-based click model, and send feedback."""
