"""The init container's program: fetch, check, publish."""
