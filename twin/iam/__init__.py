"""What roles may do: policies, and the calls that they are asked about."""
