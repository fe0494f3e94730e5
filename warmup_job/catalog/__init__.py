"""Nautilus' catalog: write and read instruments and bars. The only package with pyarrow."""
