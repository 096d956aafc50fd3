"""Endpoints made real: `model` and `config` say what to serve, `endpoint` swaps variants, each one `serve` process."""
