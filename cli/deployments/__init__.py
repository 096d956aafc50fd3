"""Deployments as a whole: what a stack consists of, its removal, and a new stack that adopts kept data."""
