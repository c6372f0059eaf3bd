"""One map from reading to written outputs: estimate, modification, parts of a model, log and report."""
