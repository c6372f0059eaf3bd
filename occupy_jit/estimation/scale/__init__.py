"""The local scale: sliding maximum, full scale, noise floor, scale, confidence and their errors."""
