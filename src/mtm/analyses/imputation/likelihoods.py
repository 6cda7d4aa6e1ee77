"""Log-likelihoods of read counts, and whether counts have more zeros than a negative binomial."""

import torch
import torch.nn.functional as F


def nb_log_likelihood(
    counts: torch.Tensor, mean: torch.Tensor, log_size: torch.Tensor
) -> torch.Tensor:
    """Return the log-likelihood of negative binomial counts, variance ``mean + mean**2 / size``.

    Parameters
    ----------
    counts, mean
        Whole numbers, and their means above 0; broadcast.
    log_size
        Logarithm of the size; the dispersion is its inverse.
    """
    log_mean = mean.log()
    size = log_size.exp()
    log_total = torch.logaddexp(log_mean, log_size)
    return (
        torch.lgamma(counts + size)
        - torch.lgamma(size)
        - torch.lgamma(counts + 1)
        + size * (log_size - log_total)
        + counts * (log_mean - log_total)
    )


def zinb_log_likelihood(
    counts: torch.Tensor, mean: torch.Tensor, log_size: torch.Tensor, logit: torch.Tensor
) -> torch.Tensor:
    """As `nb_log_likelihood`, where a share of counts is 0 whatever the mean.

    Parameters
    ----------
    logit
        Of that share.
    """
    counted = nb_log_likelihood(counts, mean, log_size) + F.logsigmoid(-logit)
    return torch.where(counts > 0, counted, torch.logaddexp(F.logsigmoid(logit), counted))
