"""The contract with the volume: what lies where, how it gets there, and how to trust it."""
