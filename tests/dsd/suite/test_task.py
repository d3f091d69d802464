"""The one rule by which processes share a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dsd.errors import UserError
from dsd.suite.task import ALONE, Shard


@given(size=st.integers(0, 40), processes=st.integers(1, 50))
def test_parts_in_turn_are_the_whole_batch_and_differ_by_one_at_most(size, processes):
    batch = list(range(size))
    parts = [Shard(rank, processes).part(batch) for rank in range(processes)]
    assert [example for part in parts for example in part] == batch
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_arrays_and_tensors_have_the_same_parts():
    for rank in range(3):
        shard, expected = Shard(rank, 3), np.array_split(np.arange(10), 3)[rank].tolist()
        assert shard.part(np.arange(10)).tolist() == expected
        assert shard.part(torch.arange(10)).tolist() == expected
    assert ALONE.part("whole") == "whole"


def test_each_process_needs_an_example_of_a_training_batch():
    Shard(3, 4).check(4, "images")
    with pytest.raises(UserError, match=r"task\.batch_size: 3 images for 4 processes; give each"):
        Shard(0, 4).check(3, "images")
