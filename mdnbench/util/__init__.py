"""What every other room may use: files, digests, paths, limits, signals. It imports nothing but `mdnbench.errors`."""
