"""The snapshot volume: its layout, how to publish to it, and how to verify what it holds."""
