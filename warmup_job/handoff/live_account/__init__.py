"""The account while live: how it is read, compared with Nautilus' cache, and shared with others."""
