"""The local scale: from a map to the sliding maximum, full scale, noise floor, scale, confidence and their errors."""
