"""Checks before a deployment: what AWS would refuse, and the command that fixes it."""
