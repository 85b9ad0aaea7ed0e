"""Conditions meet the tokens: each changes the logits, and nothing said is as if there were none."""

import pytest
import torch

from etude.conditions import Condition, ConditionSettings
from etude.errors import SettingsError
from etude.models import build_model, model_settings
from etude.models.sizes import num_parameters
from etude.optim import build_optimizer
from etude.optim_settings import OptimSettings

VOCAB = 40
SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 24}
TOLD = [
    {"name": "genre", "values": ["pop", "jazz", "rock"]},
    {"name": "note_density", "thresholds": [4, 8]},
    {"name": "sounding", "num_values": 11},
]
KINDS = [
    {"kind": "decoder", "tied": True},
    {"kind": "decoder", "positions": "relative", "embedding_scale": True, "num_kv_heads": 2},
    {"kind": "decoder", "positions": "learned", "norm": "layer", "join": "concatenate", "ctx_len": 48},
    {"kind": "linear", "position_start_id": 3},
    {"kind": "linear", "join": "concatenate"},
]


def settings_of(kind, told=TOLD):
    join = {"join": kind.get("join", "add"), "width": 5}
    values = SMALL | {name: value for name, value in kind.items() if name != "join"}
    return model_settings(values | {"conditions": {"attributes": told} | join})


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def model(request):
    torch.manual_seed(0)
    return build_model(settings_of(request.param), VOCAB).eval()


def some_ids(batch, length):
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(0))


def rows_of(model, **told):
    return torch.from_numpy(model.settings.conditions.rows_of(told))[None, None]


def some_rows(model, batch, length):
    shape = batch, length, len(TOLD)
    return torch.randint(0, model.settings.conditions.num_rows, shape, generator=torch.Generator().manual_seed(1))


def logits(model, ids_BT, rows_BTC):
    hidden_BTD = model.hidden(ids_BT, None, None, rows_BTC)
    return torch.nn.functional.linear(hidden_BTD, model.head_weight)


def test_another_value_of_one_condition_changes_every_logit(model):
    """covers: MT-7 (partly), star-43 (partly), star-44 (partly)"""
    ids_BT = some_ids(2, 12)
    rows = rows_of(model, genre="jazz", note_density=5)
    for other in (rows_of(model, genre="pop", note_density=5), rows_of(model, genre="jazz", note_density=9)):
        differs = (logits(model, ids_BT, rows) - logits(model, ids_BT, other)).abs()
        assert differs.amax(-1).min() > 0


def test_nothing_said_is_the_model_without_conditions(model):
    """covers: MT-7 (partly)"""
    ids_BT = some_ids(2, 12)
    assert torch.equal(logits(model, ids_BT, torch.zeros(1, 1, 3, dtype=torch.long)), model(ids_BT))
    if not model.conditions.concatenates:
        torch.manual_seed(0)
        bare = build_model(model.settings.replace(conditions=ConditionSettings()), VOCAB).eval()
        assert torch.equal(bare(ids_BT), model(ids_BT))


@pytest.mark.parametrize("model", [kind for kind in KINDS if "join" not in kind], indirect=True)
def test_training_with_nothing_said_is_training_without_conditions(model):
    """covers: MT-7 (partly)"""
    torch.manual_seed(0)
    bare = build_model(model.settings.replace(conditions=ConditionSettings()), VOCAB)
    optimizers = [build_optimizer(OptimSettings(peak_lr=1e-2), one) for one in (bare, model.train())]
    for seed in range(4):
        ids_BT = torch.randint(0, VOCAB, (3, 17), generator=torch.Generator().manual_seed(seed))
        for one, optimizer in zip((bare, model), optimizers, strict=True):
            rows = {} if one is bare else {"conditions_BTC": torch.zeros(3, 16, 3, dtype=torch.long)}
            one.loss(ids_BT[:, :-1], ids_BT[:, 1:], **rows)[0].backward()
            optimizer.step()
            optimizer.zero_grad()
    trained = model.state_dict()
    for name, weight in bare.state_dict().items():
        assert torch.equal(weight, trained[name]), name


def test_the_row_of_nothing_stays_zero_and_all_others_learn(model):
    """covers: MT-7 (partly)"""
    rows = torch.arange(model.settings.conditions.num_rows).view(1, -1, 1)
    ids_BT = some_ids(1, rows.shape[1] + 1)
    optimizer = build_optimizer(OptimSettings(peak_lr=1e-2), model.train())
    before = model.conditions.table.weight.detach().clone()
    model.loss(ids_BT[:, :-1], ids_BT[:, 1:], conditions_BTC=rows)[0].backward()
    optimizer.step()
    after = model.conditions.table.weight.detach()
    assert not after[0].any()
    assert (before[1:] != after[1:]).any(1).all()
    assert before[1:].any(1).all()


@pytest.mark.parametrize("exact", [False, True])
def test_cached_decoding_with_conditions_equals_the_full_pass(model, exact):
    ids_BT, rows_BTC = some_ids(3, 40), some_rows(model, 3, 40)
    cache = model.new_cache(3, 40, exact=exact)
    found = []
    for first, last in [(0, 9), *((t, t + 1) for t in range(9, 40))]:
        for place, own in enumerate(cache.rows) if exact else [(slice(None), cache)]:
            place = slice(place, place + 1) if exact else place
            own.conditions_BTC = rows_BTC[place, first:last]
        found.append(model.prefill(ids_BT[:, :9], cache) if not first else model.step(ids_BT[:, first], cache))
    full_BTV = logits(model, ids_BT, rows_BTC)
    torch.testing.assert_close(torch.stack(found, dim=1), full_BTV[:, 8:], atol=1e-5, rtol=1e-5)


def test_a_long_prompt_is_told_its_conditions_part_by_part(monkeypatch):
    monkeypatch.setattr("etude.models.linear_decode._TOKENS_AT_ONCE", 8)
    model = build_model(settings_of({"kind": "linear"}), VOCAB).eval()
    ids_BT, rows_BTC = some_ids(2, 17), some_rows(model, 2, 17)
    for rows in (rows_BTC, rows_BTC[:, :1]):
        cache = model.new_cache(2, 17)
        cache.conditions_BTC = rows
        found_BV, full_BTV = model.prefill(ids_BT, cache), logits(model, ids_BT, rows)
        torch.testing.assert_close(found_BV, full_BTV[:, -1], atol=1e-5, rtol=1e-5)


def test_weights_are_counted_beforehand(model):
    assert num_parameters(model.settings, VOCAB) == sum(weight.numel() for weight in model.parameters())


def test_no_value_has_the_row_of_nothing_which_is_that_of_padding():
    """covers: MT-7 (partly)"""
    told = ConditionSettings.parse({"attributes": TOLD})
    every = [
        told.first_rows[place] + value
        for place, one in enumerate(told.attributes)
        for value in range(len(one.all_values))
    ]
    assert every == list(range(1, told.num_rows))
    assert told.rows_of({"genre": "NA", "note_density": None}).tolist() == [0, 0, 0]
    assert told.rows_of({"genre": "rock", "note_density": 4}).tolist() == [3, 5, 0]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"gnre": "pop"}, "condition 'gnre': no such condition; did you mean 'genre'"),
        ({"genre": "popp"}, "condition genre = 'popp': did you mean 'pop'"),
        ({"note_density": "dense"}, "note_density = 'dense': there are: 4..8, <4, >=8, or a number"),
        ({"sounding": 3}, "condition sounding = 3: it is counted from token to token"),
    ],
)
def test_what_cannot_be_told_is_refused(told, message):
    """covers: K40 (partly)"""
    with pytest.raises(SettingsError, match=message):
        ConditionSettings.parse({"attributes": TOLD}).rows_of(told)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "genre"}, "expected one of values"),
        ({"name": "genre", "values": ["a"], "num_values": 3}, "expected one of values"),
        ({"name": "genre", "values": ["a", "NA"]}, "'NA' has a row already"),
        ({"name": "x", "thresholds": [2, 1]}, "expected rising numbers"),
        ({"name": "a=b", "values": ["a"]}, "has no '='"),
    ],
)
def test_conditions_that_contradict_themselves_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        Condition.parse(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": {"attributes": TOLD, "join": "concatenate", "width": 32}}, "leaves the tokens none"),
        ({"conditions": {"attributes": TOLD, "join": "concatenate", "width": 4}, "tied": True}, "untie it"),
        ({"conditions": {"attributes": [TOLD[0], TOLD[0]]}}, "stands there twice"),
    ],
)
@pytest.mark.parametrize("kind", ["decoder", "linear"])
def test_models_that_have_no_room_for_conditions_are_refused(kind, changes, message):
    with pytest.raises(SettingsError, match=message):
        model_settings({"kind": kind} | SMALL | changes)
