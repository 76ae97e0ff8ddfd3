"""Analyse finished runs: paired statistics, regression checks, published numbers, other scoring rules.

This package reads results and the store. `api` and `cli` use it, and reporters may use it. Start with
`statistics/comparison.py`.
"""
