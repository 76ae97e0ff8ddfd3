"""What is said of finished runs: statistics, regression checks, published numbers, other scoring rules."""
