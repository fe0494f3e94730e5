"""The only place that knows Nautilus' catalog: instruments and bars go in and come out."""
