"""Foreign files are read without running what is in them."""

import pytest
import torch
from safetensors.torch import save_file

from etude.errors import ModelError
from etude.interchange.weights import Taking, read_weights


class Trap:
    """What a hostile file does when it is read the usual way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_that_would_run_code_is_refused_and_nothing_runs(tmp_path, legacy):
    state = {"weight": torch.ones(2), "trap": Trap(tmp_path / "sprung")}
    torch.save(state, tmp_path / "evil.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match="evil.pt: not read, since it asks to run .*open"):
        read_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_old_and_new_files_of_torch_are_read(tmp_path, legacy):
    torch.save({"a.weight": torch.arange(3.0)}, tmp_path / "w.pickle", _use_new_zipfile_serialization=not legacy)
    assert read_weights(tmp_path / "w.pickle").tensors["a.weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * 100])
def test_damaged_files_are_refused_in_a_line(tmp_path, suffix, damage):
    path = tmp_path / f"w{suffix}"
    (torch.save if suffix == ".pt" else save_file)({"weight": torch.ones(500)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=f"w{suffix}: damaged, or not weights") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_a_file_without_a_state_says_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds no weights by name, but epoch, lr"):
        read_weights(tmp_path / "w.pt")


def test_nothing_there_and_a_folder_without_weights(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        read_weights(tmp_path / "w.pt")
    with pytest.raises(ModelError, match="no weights in this folder; expected one of model.safetensors"):
        read_weights(tmp_path)


def test_an_index_does_not_lead_out_of_its_folder(tmp_path):
    save_file({"weight": torch.ones(1)}, tmp_path / "other.safetensors")
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"weight": "../other.safetensors"}}')
    with pytest.raises(ModelError, match="files of the same folder"):
        read_weights(folder)


def test_an_index_whose_files_lack_a_tensor_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}'
    )
    with pytest.raises(ModelError, match="lack b"):
        read_weights(tmp_path)


def test_half_precision_comes_out_in_float32_and_numbers_without_a_point_are_refused(tmp_path):
    torch.save({"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.ones(2, dtype=torch.int64)}, tmp_path / "w.pt")
    taking = Taking(read_weights(tmp_path / "w.pt"))
    assert taking.take("a", 2).dtype == torch.float32
    taking.take("b", 2)
    with pytest.raises(ModelError, match="b holds torch.int64"):
        taking.finish()


def test_a_wrong_number_of_layers_is_told_once_for_all_of_them(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    taking = Taking(read_weights(tmp_path / "w.pt"))
    for layer in (0, 1, 2, 5):
        taking.take(f"layers.{layer}.up.weight", 3)
    with pytest.raises(ModelError, match=r"4 missing: layers\.\{0-2,5\}\.up\.weight; 1 not read: a"):
        taking.finish()
