"""The environment: no variable may change a result that the record does not know of.

Precision, accumulation and backends are the recipe's and the options'. A variable, or a flag of a
launcher, that would decide them is refused; what shifts rounding alone is in the provenance.
"""

import os
from collections.abc import Mapping

from dsd.errors import UserError

OFF = ("", "0", "no", "none", "false", "off", "default")
ASKS_NOTHING = {  # further values of accelerate's variables that change no result
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": ("1",),
    "ACCELERATE_MIXED_PRECISION": ("fp32",),
    "ACCELERATE_USE_CPU": ("1", "true", "yes"),  # the record has the device
    "ACCELERATE_TORCH_DEVICE": ("cpu", "cuda"),
}
HARMLESS = (  # beginnings: logs, paths, cores
    "ACCELERATE_DEBUG",
    "ACCELERATE_LOG",
    "ACCELERATE_CPU_AFFINITY",
    "ACCELERATE_CONFIG",
    "ACCELERATE_DISABLE_RICH",
    "ACCELERATE_ENABLE_RICH",
)
FLOAT32 = {  # of torch and its libraries: values that leave float32 as precise as it is
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": OFF,
    "NVIDIA_TF32_OVERRIDE": ("", "0"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("", "strict"),
    "DNNL_DEFAULT_FPMATH_MODE": ("", "strict"),
}
ROUNDING = (  # beginnings
    *("ATEN_", "CUBLAS_", "CUDNN_", "DNNL_", "KMP_", "MKL_", "OMP_", "ONEDNN_"),
    *("TORCH_", "TORCHDYNAMO_", "TORCHINDUCTOR_"),
)


def check(precision: str = "fp32", environment: Mapping[str, str] = os.environ) -> None:
    """Raises UserError naming a variable that would change what is trained or measured.

    precision: of --precision; a launcher may ask for the same.
    """
    for name, value in sorted(environment.items()):
        given = value.strip().lower()
        if _decides(name, given) and (name, given) != ("ACCELERATE_MIXED_PRECISION", precision):
            raise UserError(
                f"{name}={value}: would change results unseen; unset it, or leave that flag of the "
                "launcher out: the recipe and dsd's options say how to train"
            )


def rounding(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the variables that shift rounding, for the record; folders stay private."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(ROUNDING) and "/" not in value
    }


def _decides(name: str, value: str) -> bool:
    if name in FLOAT32:
        return value not in FLOAT32[name]
    if not name.startswith("ACCELERATE_") or name.startswith(HARMLESS):
        return False
    return value not in (*OFF, *ASKS_NOTHING.get(name, ()))
