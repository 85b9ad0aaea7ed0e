"""What a training needs before its first step: the ranks, the corpus, the tokenizer, and the run, held open."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.data.corpus import Corpus
from etude.runs.find import runs_root
from etude.runs.run import open_run
from etude.tokens import tokenizer_of
from etude.training.distributed import Ranks, joined
from etude.training.follower import follow_run
from etude.training.start import origin_of, pin_start, start_facts
from etude.training.telling import telling


@dataclass(frozen=True)
class Opened:
    """An open run and what it trains on.

    Args:
        run: the run, or as every rank but the first sees it.
        config: the configuration, with the digest of the weights that it starts from.
        corpus: what is learned from.
        tokenizer: what turns it into ids.
        ranks: who else trains the model; nobody, of one process.
        facts: what the card of a model says of its origin.
    """

    run: Any
    config: RunConfig
    corpus: Corpus
    tokenizer: Any
    ranks: Ranks
    facts: dict[str, Any]


@contextlib.contextmanager
def opened_run(
    config: RunConfig, runs_dir: Path | None, *, clear: bool, origin: dict[str, Any] | None
) -> Iterator[Opened]:
    """Open the run of a configuration; the first rank makes what there is one of, and the others follow.

    Args:
        config: everything that decides the result.
        runs_dir: the folder of runs; by default ``ETUDE_RUNS`` or ``runs``.
        clear: throw an earlier run of the same identity away first.
        origin: what ``open_run`` records of where the configuration came from.

    Raises:
        EtudeError: whatever a user can mend: data, settings, a run held by another process; another rank failed.
    """
    with joined(config.train) as ranks:
        with ranks.first_alone("run"):
            config = pin_start(config)
            corpus = open_corpus(config.data.corpus)
            tokenizer = tokenizer_of(config.data.tokenizer)
            open_it: Callable[..., Any] = functools.partial(open_run, clear=clear, **origin_of(config, origin))
            if not ranks.is_first:
                open_it = functools.partial(follow_run, rank=ranks.rank)
            run = open_it(runs_root() if runs_dir is None else runs_dir, config, corpus.digest, tokenizer.hash)
        facts = {"run": run.id, "corpus": corpus.digest, "licences": corpus.info["licences"]} | start_facts(config)
        with run, telling(ranks):
            yield Opened(run, config, corpus, tokenizer, ranks, facts)
