"""The machine learning backend that Label Studio asks for predictions, one for each model line."""
