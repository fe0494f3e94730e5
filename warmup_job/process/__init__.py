"""Process behaviour: logs, health check, fast start."""
