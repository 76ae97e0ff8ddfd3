"""What crosses to plugins: specs, hooks, records and the grammar of names and options."""
