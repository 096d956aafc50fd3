"""Training runs: when one starts, its plan and cost, the gate, deployment, completion."""
