"""The files that ``warmup-job init`` writes: a configuration that runs, and what deploys it."""
