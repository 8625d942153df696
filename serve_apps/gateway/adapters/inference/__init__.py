"""Open Inference Protocol 2: the online predictions of a model line as tensors."""
