"""What optimizers call their state, in torch, timm, pytorch-optimizer, bitsandbytes and torchao.

A name that is in none of these sets is named in a warning.
"""

from torch.optim import Optimizer

# State that moves a weight in a step whose gradient is zero: momentum, sums and past gradients.
MOMENTA = {
    *("momentum_buffer", "exp_avg", "momentum", "moments", "momenta", "m", "velocity", "buf"),
    *("exp_avg_slow", "exp_avg_fast", "exp_avg2", "exp_avg_diff", "grok_exp_avg", "neg_exp_avg"),
    *("pos_momentum", "neg_momentum", "avg_grad", "mov_avg_grad", "grad_ema", "ema_grad"),
    *("exp_avg_grad", "last_grad", "previous_grad", "prev_grad", "pre_grad", "neg_pre_grad"),
    *("grad_queue", "update", "d", "bg", "s", "sk", "state1", "first_moment", "moment"),
    *("kahan_comp", "compensation", "shift", "m_avg_r", "m_avg_c", "m_avg_u", "m_l", "m_r"),
    *("exp_avg_r", "exp_avg_c"),
}

# State that only scales a gradient, or is compared with it.
SCALES = {
    *("exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "acc_delta", "sum", "exp_inf"),
    *("exp_avg_var", "max_exp_avg_var", "exp_hessian_diag_sq", "hessian", "approx_hessian"),
    *("exp_hessian_diag", "grad_sum_sq", "fim", "alpha_k", "n", "b", "v_k", "variance", "state2"),
    *("prev", "step_size", "exp_avg_lr", "exp_avg_lr_1", "second_moment", "moment2", "bhg"),
    *("exp_avg_sq_slow", "beta1_prod", "mask", "r", "step", "exp_avg_sq_row", "exp_avg_sq_col"),
    *("row_var", "col_var", "RMS", "accumulator_0", "accumulator_1", "v_avg_0", "v_avg_1"),
    *("exp_avg_res_row", "exp_avg_res_col", "qmap1", "qmap2", "absmax1", "absmax2", "GG", "Q"),
    *(
        "pre_cond_0",
        "pre_cond_1",
        "inv_pre_cond_0",
        "inv_pre_cond_1",
        "new_max",
        "unorm_vec",
        "projector",
    ),
}

# Of these the names that say too little, unless the optimizer is one of a library that was tried.
VAGUE = {"sum", "hessian", "n", "b", "r", "variance", "prev", "mask", "Q"}
LIBRARIES = {
    *("torch", "timm", "pytorch_optimizer", "schedulefree", "bitsandbytes", "torchao"),
    *("lion_pytorch", "apex", "transformers"),
}

# Copies of the weights, which an optimizer moves them to: held at zero like the weights.
COPIES = {
    *("z", "x0", "x_k", "p0", "ax", "pbar", "ema", "mov_avg_param", "prev_param", "old_p", "e_w"),
    *("param_fp32", "param_copy", "anchor", "mug"),
}
COPIES_PARTS = ("slow", "master", "fp32", "backup")  # of other names of copies

# Parts of names of optimizers that mix the entries of a matrix: its momentum rests as a whole.
MIXING = (
    *("muon", "shampoo", "soap", "kron", "psgd", "splus", "scion", "dion", "galore", "spectral"),
    *("conda", "alice", "lorarite", "dash"),
)

# bitsandbytes calls its first state state1: a momentum, but in these, which have none.
ONE_STATE = ("rmsprop", "adagrad")


def is_scale(name: str, optimizer: type) -> bool:
    """Returns whether state of this name only scales gradients in an optimizer of this class."""
    kinds = {*optimizer.__mro__} - {Optimizer, object}
    of_library = any(kind.__module__.partition(".")[0] in LIBRARIES for kind in kinds)
    return name in SCALES and (of_library or name not in VAGUE)


def is_copy(name: str) -> bool:
    """Returns whether state of this name is a copy of the weights."""
    if name in MOMENTA or name in SCALES:
        return False
    return name in COPIES or any(part in name for part in COPIES_PARTS)
