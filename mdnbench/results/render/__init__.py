"""Renderers: one module for each medium that draws a `mdnbench.results.table.Table`, each with one function `escape`.

Whatever prints or writes a table imports the module of its medium. Start with `markdown.py`, which is the shortest.
"""
