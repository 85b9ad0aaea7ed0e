"""Next token: the evaluation is the mean over every target of the split, whatever the windows."""

import numpy as np
import pytest
import torch
from small_runs import make_corpus, small_config
from torch.nn import functional as F

from etude.data.corpus import Corpus
from etude.errors import SettingsError
from etude.models import build_model
from etude.tasks import build_task
from etude.tokens import build_tokenizer

TOK = build_tokenizer("performance")


def test_evaluation_equals_scoring_each_piece_in_one_pass(tmp_path):
    """covers: MT-30 (partly)"""
    config = small_config(make_corpus(tmp_path))
    config = config.replace(model=config.model.replace(ctx_len=256), train=config.train.replace(batch_tokens=256))
    torch.manual_seed(0)
    model = build_model(config.model, TOK.vocab_size).eval()
    task = build_task(config, Corpus.open(tmp_path / "corpus"), TOK, say=lambda line: None)
    nats, correct, count, notes = 0.0, 0, 0, 0
    with torch.inference_mode():
        found = task.evaluate(model)
        for row in task.shards.split_rows("valid"):
            targets = torch.from_numpy(task.shards.ids(row).astype(np.int64))
            ids = torch.cat([torch.tensor([TOK.end_id]), targets[:-1]])
            logits = model(ids[None])[0]
            nats += float(F.cross_entropy(logits, targets, reduction="sum"))
            correct += int((logits.argmax(-1) == targets).sum())
            count += len(targets)
            notes += int(task.shards.notes[row])
    assert found["nats_per_token"] == pytest.approx(nats / count, rel=1e-5)
    assert found["nats_per_note"] == pytest.approx(nats / notes, rel=1e-5)
    assert found["accuracy"] == pytest.approx(correct / count)


def test_a_tokenizer_of_several_ids_a_step_is_refused(tmp_path):
    corpus = Corpus.open(make_corpus(tmp_path / "corpus"))
    with pytest.raises(SettingsError, match="data.tokenizer.kind = 'octuple': has 8 ids a step"):
        build_task(small_config(corpus.path), corpus, build_tokenizer("octuple"), say=print)
