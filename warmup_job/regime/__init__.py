"""The regime detector of HedgeGridV1 and its indicators. Pure."""
