"""The deployment of learned methods: as ONNX files, in eight bits, in bfloat16 or compiled.

Each file is made only once.
"""
