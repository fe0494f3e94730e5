"""``warmup-job doctor``: one module for each kind of check, each with a verdict and a remedy."""
