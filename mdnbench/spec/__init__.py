"""What crosses to plugins: specs, hooks, records, and the grammar of names and options.

Every room but `util` may import it. Start with `specs.py`.
"""
