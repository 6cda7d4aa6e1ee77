import numpy as np
import pytest
import torch

from mtm.models.joint.conditional import condition
from mtm.models.joint.loadings import Loadings


def random_loadings(rng):
    """Four tissues, nine genes, three factors, two noise factors, two covariates; float64."""
    shapes = {
        "factors": (4, 9, 3), "noise": (4, 9, 2), "own": (4, 9), "variance": (4, 9),
        "organ": (3, 9, 3), "common": (9, 3), "own_mean": (9,), "variance_mean": (9,),
        "covariates": (2, 3), "covariate_variance": (2,),
    }  # fmt: skip
    values = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    for name in ("own", "variance", "covariate_variance"):
        values[name] = np.abs(values[name]) + 0.2
    return Loadings(**{name: torch.from_numpy(value) for name, value in values.items()})


@pytest.mark.parametrize("tissues", [[0], [0, 2, 2], [1, 2, 3], [3, 1, 1, 0, 2], []])
@pytest.mark.parametrize("given", [(True, True), None, (False, True), (False, False)])
@pytest.mark.parametrize("complete", [True, False])
def test_is_the_gaussian_conditional_by_brute_force(tissues, given, complete):
    rng = np.random.default_rng(1)
    loadings = random_loadings(rng)
    n_genes, n_factors = loadings.common.shape
    size = len(tissues) * n_genes
    expr_z = rng.normal(size=(5, len(tissues), n_genes))
    observed = rng.random((len(tissues), n_genes)) < (1 if complete else 0.8)
    covariates = rng.normal(size=(5, 2))
    posterior = condition(
        loadings, tissues, None if complete else torch.from_numpy(observed),
        None if given is None else np.array(given),
    )  # fmt: skip
    unknown = None if given is None else torch.from_numpy(np.where(given, covariates, np.nan))
    mean = posterior.mean(3, posterior.told(torch.from_numpy(expr_z), unknown))
    variance = posterior.variance(3)

    of = {name: value.numpy() for name, value in loadings.values().items()}
    latent, noise = np.zeros((size + 2, n_factors + n_genes)), np.zeros((size + 2,) * 2)
    for index, tissue in enumerate(tissues):
        rows = slice(index * n_genes, (index + 1) * n_genes)
        latent[rows] = np.hstack([of["factors"][tissue], np.diag(of["own"][tissue])])
        noise[rows, rows] = of["noise"][tissue] @ of["noise"][tissue].T
        noise[rows, rows] += np.diag(of["variance"][tissue])
    latent[size:, :n_factors] = of["covariates"]
    noise[size:, size:] = np.diag(of["covariate_variance"])
    kept = np.concatenate([observed.ravel(), given or (False, False)]).astype(bool)
    values = np.hstack([expr_z.reshape(5, -1), covariates])[:, kept]
    target = np.hstack([of["factors"][3], np.diag(of["own"][3])])
    prior = target @ target.T + of["noise"][3] @ of["noise"][3].T + np.diag(of["variance"][3])
    cross = target @ latent[kept].T
    told = np.linalg.solve((latent @ latent.T + noise)[np.ix_(kept, kept)], cross.T)
    np.testing.assert_allclose(mean, values @ told, atol=1e-8)
    np.testing.assert_allclose(variance, np.diag(prior - cross @ told), atol=1e-8)
