"""Deployment: learned methods as ONNX files, in eight bits, in bfloat16 or compiled. What is made is made once."""
