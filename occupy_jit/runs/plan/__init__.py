"""What a run will do, decided before anything is computed: inputs, names of outputs, settings, memory."""
