"""Runs: one run, one folder; what was asked, where it stands, what it measured.

    config.json        every setting, the run's identity, where it came from      definition.py, identity.py
    environment.json   commit, changes not committed, versions, device, starts    environment.py
    status.json        created, running, stopped, failed or done                  status.py
    metrics.jsonl      one record a line, append-only                             records.py
    lock               who holds the run now                                      lock.py
    logs/rank_0.log    plain text
    checkpoints/  samples/  best/loss/  best/accuracy/  done.json

``run.py`` opens a run for writing, ``find.py`` finds them again. Nothing here needs torch.
"""
