"""The smoke test of an account: a deployment of its own, the whole loop on generated data, and its removal."""
