"""The experiment behind docs/experiments/masking.md: its networks, their scores, the page and its plots."""
