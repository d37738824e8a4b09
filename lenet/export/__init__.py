"""A network as other frameworks read it: ONNX, and PyTorch with safetensors."""
