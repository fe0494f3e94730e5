"""The regime detector of HedgeGridV1: pure, floats in, a regime out."""
