"""Write and read instruments and bars of a Nautilus catalog. Only this package imports pyarrow."""
