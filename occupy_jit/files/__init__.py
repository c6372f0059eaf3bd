"""Files in and out: each format in a room of its own, and the way outputs appear complete or not at all."""
