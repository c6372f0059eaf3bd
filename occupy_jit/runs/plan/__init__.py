"""Plan of a run before any computation: inputs, names of outputs, settings, memory."""
