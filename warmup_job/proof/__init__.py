"""The proof that the detector's output no longer depends on bars older than a window. Pure."""
