"""Say what finished runs show: paired statistics, regression checks, published numbers, other scoring rules.

It reads results and the store; `api` and `cli` use it, and reporters may. Start with `statistics/comparison.py`.
"""
