"""Plain values about klines: intervals, rows, pages, gaps. Uses the standard library only."""
