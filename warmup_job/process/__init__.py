"""How the process behaves: logs, health check, fast start."""
