"""Orders on their way out: ids, limits, queue, and the gates for orders and for cancels."""
