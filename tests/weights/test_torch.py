"""Against the real PyTorch: its checkpoints are read right, and it reads ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jack_stream.weights.checkpoint import read_checkpoint
from jack_stream.weights.torchfile import write_checkpoint

MAKE = """
import sys, collections, numpy as np, torch
folder, seed = sys.argv[1], int(sys.argv[2])
torch.manual_seed(seed)
net = torch.nn.Sequential(
    torch.nn.Conv3d(3, 4, (1, 3, 3)), torch.nn.BatchNorm3d(4), torch.nn.Linear(5, 6))
net = torch.nn.DataParallel(net)
odd = collections.OrderedDict(
    half=torch.randn(3, 2).half(), brain=torch.randn(5).bfloat16(), double=torch.randn(2).double(),
    transposed=torch.randn(3, 4).t(), strided=torch.randn(10)[1::3], scalar=torch.tensor(3),
    empty=torch.zeros(0, 3), flags=torch.tensor([True, False]), bytes=torch.tensor([1, 255]).byte(),
    parameter=torch.nn.Parameter(torch.randn(2)), tied=net.module[2].weight)
odd['also tied'] = odd['tied']
state = collections.OrderedDict([*net.state_dict().items(), *odd.items()])
optimizer = torch.optim.Adam(net.parameters())
net.module[2](torch.randn(5)).sum().backward()
optimizer.step()
content = {'epoch': 3, 'arch': 'x', 'state_dict': state, 'optimizer': optimizer.state_dict(),
           'best': np.float64(0.5), 'device': torch.device('cpu'), 'shape': torch.Size([1, 2])}
torch.save(content, folder + '/zip.pth')
torch.save(content, folder + '/legacy.pth', _use_new_zipfile_serialization=False)
torch.save(content, folder + '/protocol4.pth', pickle_protocol=4)
torch.save(state, folder + '/flat.pth')
np.savez(folder + '/truth.npz', **{k: v.detach().float().numpy() for k, v in state.items()})
"""

CHECK = """
import sys, json, numpy as np, torch
state = torch.load(sys.argv[1], weights_only=True)['state_dict']
truth = np.load(sys.argv[2])
assert set(state) == set(truth.files)
for name in truth.files:
    assert state[name].shape == truth[name].shape, name
    assert str(state[name].dtype) == 'torch.' + str(truth[name].dtype), name
    assert np.array_equal(state[name].numpy(), truth[name]), name
print(json.dumps(len(state)))
"""


@pytest.fixture(scope="module")
def made(torch_run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    torch_run(MAKE, folder, 11)
    return folder


@pytest.mark.parametrize(
    ("file", "form", "entry"),
    [
        ("zip", "zip", "state_dict"),
        ("protocol4", "zip", "state_dict"),
        ("legacy", "legacy", "state_dict"),
        ("flat", "zip", ""),
    ],
)
def test_torch_checkpoints(made: Path, file: str, form: str, entry: str) -> None:
    checkpoint = read_checkpoint(made / f"{file}.pth")
    assert (checkpoint.form, checkpoint.entry) == (form, entry)
    with np.load(made / "truth.npz") as truth:
        assert set(checkpoint.tensors) == set(truth.files)
        for name in truth.files:
            np.testing.assert_array_equal(checkpoint.tensors[name], truth[name])
            assert checkpoint.tensors[name].shape == truth[name].shape


def test_torch_loads_what_is_exported(torch_run: Callable[..., str], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tensors = {
        "w": rng.normal(size=(3, 4, 5)).astype(np.float32),
        "h": rng.normal(size=3).astype(np.float16),
        "n": np.array(7, np.int64),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 2), np.float32),
        "column.major": np.asfortranarray(rng.normal(size=(2, 3)).astype(np.float32)),
        "ünï": np.arange(3, dtype=np.int32),
    }
    write_checkpoint(tmp_path / "a.pth", tensors)
    np.savez(tmp_path / "truth.npz", **tensors)
    assert json.loads(torch_run(CHECK, tmp_path / "a.pth", tmp_path / "truth.npz")) == len(tensors)
