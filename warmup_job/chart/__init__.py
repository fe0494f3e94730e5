"""The `chart` command: a snapshot, and what a trader did with it, as one HTML file."""
