"""dataset.json: images, their splits and captions, as Karpathy's caption corpora have them."""

import codecs
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dsd.errors import UserError

M = TypeVar("M", bound=BaseModel)


def read_dataset(path: Path, model: type[M], remedy: str) -> M:
    """Returns the file as `model`. Raises UserError naming the key, with the remedy."""
    try:
        return model.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise UserError(f"{path}: {where}: {first['msg']}; {remedy}") from None
