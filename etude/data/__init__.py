"""From a folder of MIDI to batches: corpora with a ledger, splits by group, token shards, windows."""
