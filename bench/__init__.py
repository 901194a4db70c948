"""Benchmarks as ratios: each figure beside a baseline measured in the same run. See README.md; nothing here is a test."""
