"""Operations on arrays of batch x genes in as few passes over memory as give the same numbers.

Such arrays are what a training step moves most of; autograd's own chains of small operations keep
a new one for each of them.
"""

import math

import torch
from torch import Tensor


class _InverseZ(torch.autograd.Function):
    """z-scores to expression that is not negative, optionally to log2(1 + it)."""

    @staticmethod
    def forward(ctx, expr_z, mean, sd, tissue, log):
        slope = sd.index_select(0, tissue)
        expr = mean.index_select(0, tissue).addcmul_(expr_z, slope).relu_()
        ctx.save_for_backward(expr, slope)
        ctx.log = log
        return (1 + expr).log2_() if log else expr

    @staticmethod
    def backward(ctx, grad):
        expr, slope = ctx.saved_tensors
        if ctx.log:
            grad = torch.div(grad, through := (1 + expr).mul_(math.log(2)), out=through)
        grad = torch.ops.aten.threshold_backward(grad, expr, 0)
        return grad.mul_(slope), None, None, None, None


def inverse_z(expr_z: Tensor, mean: Tensor, sd: Tensor, tissue: Tensor, log: bool) -> Tensor:
    """Turn z-scores into expression, cut off at 0.

    Parameters
    ----------
    expr_z
        Shape ``(n, n_genes)``; the one argument that passes a gradient on.
    mean, sd
        Statistics of the z-scores, shape ``(n_tissues, n_genes)``.
    tissue
        Shape ``(n,)``, int64.
    log
        Whether to return log2(1 + expression).
    """
    return _InverseZ.apply(expr_z, mean, sd, tissue, log)


class _L1(torch.autograd.Function):
    """Mean absolute difference; only the difference itself is kept."""

    @staticmethod
    def forward(ctx, predicted, wanted):
        difference = predicted - wanted
        ctx.save_for_backward(difference)
        return difference.abs().mean()

    @staticmethod
    def backward(ctx, grad):
        (difference,) = ctx.saved_tensors
        # The difference is not needed again, and autograd refuses a second pass through it.
        return difference.sgn_().mul_(grad / difference.numel()), None


def l1_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference, with a gradient to `predicted` alone."""
    return _L1.apply(predicted, wanted)
