"""Many maps in one run: their order, tables over all maps, resuming, array tasks, the index of reports."""
