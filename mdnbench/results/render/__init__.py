"""Renderers: one module per output format. Each draws a `mdnbench.results.table.Table` and has one function `escape`.

A module that prints or writes a table imports the renderer of its format. Start with `markdown.py`, the shortest one.
"""
