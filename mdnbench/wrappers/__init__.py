"""Wrappers: from what an author already has (a function, a network and its weights, an ONNX file) to a DenoiserSpec.

Each is one call, offered by `mdnbench` itself: `wrap_numpy`, `wrap_torch`, `wrap_onnx` and `wrap_deepinv`.
"""
