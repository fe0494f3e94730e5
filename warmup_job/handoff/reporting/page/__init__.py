"""The read-only page at the trader's HTTP port: its data, its files and its limits."""

PAGE_PATHS = ("/", "/trader.css", "/trader.js", "/charting.js", "/status", "/bars")
"""What `page_routes` answers."""
