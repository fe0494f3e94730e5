"""What a configuration asks for: streams, pages, weight."""
