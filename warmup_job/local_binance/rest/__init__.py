"""REST endpoints of the local exchange, with weights and errors."""
