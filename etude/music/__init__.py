"""Music as values: the Score, its times, its files, its edits."""
