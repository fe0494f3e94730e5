"""What a kline is, in plain values: intervals, rows, pages, gaps. Standard library only."""
