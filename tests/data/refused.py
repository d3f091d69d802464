"""A mistake of the user's: one line that says what is wrong."""

from collections.abc import Callable

import pytest

from dsd.errors import UserError


def refused(call: Callable[[], object], *parts: str) -> None:
    """Asserts that the call raises UserError, in one line that holds the parts."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message
