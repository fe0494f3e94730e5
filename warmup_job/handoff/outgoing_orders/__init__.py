"""Orders on their way out: ids, limits, queue and the gate that denies entries."""
