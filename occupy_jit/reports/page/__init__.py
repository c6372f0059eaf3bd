"""The HTML report: one file without network, from the data of a run to words, charts, pictures and viewer."""
