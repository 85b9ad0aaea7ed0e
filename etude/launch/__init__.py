"""Where a run runs: several devices of this machine, so far."""
