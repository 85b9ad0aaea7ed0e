"""The page that fine-tuning ends in shows both takes of every pair, and says plainly what is a copy."""

from etude.pages.finetune import FinetuneContent, Heard, Pair, finetune_page


def content_of(duet, **changes) -> FinetuneContent:
    before = Heard(score=duet, name="take-1-before")
    after = Heard(
        score=duet,
        name="take-1-after",
        midi=b"MThd",
        run_notes=40,
        run_sec=8.25,
        at_sec=65.0,
        run_piece="rag <1>.mid",
        semitones=-3,
        nearest="rag <2>.mid",
        nearest_share=0.456,
        is_new=False,
    )
    values = {
        "title": "Mine",
        "said": ["It fell.", "It copies."],
        "pairs": [Pair(asked="From nothing", before=before, after=after)],
        "loss": {"learned pieces": ([1, 2], [3.0, 2.0]), "held-out pieces": ([0, 2], [3.0, 2.5])},
        "before": {"nats_per_token": 3.0, "accuracy": 0.25},
        "valid": {"nats_per_token": 2.5, "accuracy": 0.5},
        "limit_notes": 24,
        "limit_share": 0.2,
        "usual": "Usually less.",
        "corpus": {"pieces": 12},
        "left_out": [("bad.mid", "no notes")],
        "model": {"run": "abc"},
        "commands": [("etude generate X", "more")],
    }
    return FinetuneContent(**values | changes)


def test_a_copy_is_marked_with_where_it_is_from(duet):
    page = finetune_page(content_of(duet))
    for part in ("40 notes, 8.2 s, at 1:05", "rag &lt;1&gt;.mid (−3 semitones)", "rag &lt;2&gt;.mid, 46%", "✗ copied"):
        assert part in page
    assert page.count("✓ new") == 1
    assert "none of 8 notes" in page


def test_both_takes_of_a_pair_have_a_player_and_the_page_says_how_it_went(duet):
    page = finetune_page(content_of(duet))
    assert page.count('<figure class="etude etude-player"') == 2
    for part in (
        "It fell. It copies.",
        "Beyond 24 notes in a row, or 20% of all figures",
        "base model",
        "bad.mid",
        "50.0%",
    ):
        assert part in page


def test_a_page_without_takes_is_whole(duet):
    page = finetune_page(content_of(duet, pairs=[], left_out=[]))
    assert "bad.mid" not in page
    assert page.endswith("</html>\n")
