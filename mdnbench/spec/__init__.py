"""What mdnbench and its plugins exchange: specs, hooks, records, and the grammar of names with options.

Every room except `util` may import this package. Start with `specs.py`.
"""
