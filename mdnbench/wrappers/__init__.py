"""Wrappers that make a DenoiserSpec from a function, from a network and its weights, or from an ONNX file.

Each is one function, available in `mdnbench` itself: `wrap_numpy`, `wrap_torch`, `wrap_onnx` and `wrap_deepinv`.
"""
