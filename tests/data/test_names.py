"""File names in little memory."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.names import Names

# Any name that a file can have, also of bytes that are no UTF-8.
NAMES = st.lists(st.binary(max_size=9).map(lambda b: b.decode("utf-8", "surrogateescape")))


@given(NAMES)
def test_is_the_sequence_that_it_was_made_of(names):
    found = Names(names)
    assert list(found) == names
    assert found == names
    assert found == Names(names)
    assert found[1:] == tuple(names[1:])
    assert [found[-i] for i in range(1, len(names) + 1)] == names[::-1]
    assert (found != [*names, "one more"]) is True
    for place in (len(names), -len(names) - 1):
        with pytest.raises(IndexError):
            found[place]


def test_imagenets_names_take_less_than_150_mb():
    tracemalloc.start()
    tenth = Names(f"train/n01440764/n01440764_{i:05d}.JPEG" for i in range(128_117))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tenth) == 128_117
    assert 10 * held < 150e6
