"""What the papers claim, tried on two cores: `python -m benchmarks.claims.NAME`, at most ten minutes each."""
