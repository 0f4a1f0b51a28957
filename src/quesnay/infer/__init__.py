"""From observed series to a posterior: calibration of any simulator, with the truth about what the data say."""

from .abc import abc, abc_smc
from .coverage import CoverageReport, coverage
from .gvi import gvi, renyi
from .identify import Identification, identify
from .laplace import laplace, map  # noqa: A004
from .losses import MMD, AbstractLoss, Custom, EnergyScore, Gaussian, SquaredError
from .mcmc import mcmc
from .posterior import Posterior, Predictive, load
from .prior import Prior, read_prior
from .sobol import SensitivityReport, sobol
from .synthetic import SyntheticLikelihood
from .targets import Targets, read_targets
from .transforms import Transformed, cumulative, scaled, square_root
from .variational import flow, full_covariance, low_rank, mean_field

__all__ = [
    "MMD",
    "AbstractLoss",
    "CoverageReport",
    "Custom",
    "EnergyScore",
    "Gaussian",
    "Identification",
    "Posterior",
    "Predictive",
    "Prior",
    "SensitivityReport",
    "SquaredError",
    "SyntheticLikelihood",
    "Targets",
    "Transformed",
    "abc",
    "abc_smc",
    "coverage",
    "cumulative",
    "flow",
    "full_covariance",
    "gvi",
    "identify",
    "laplace",
    "load",
    "low_rank",
    "map",
    "mcmc",
    "mean_field",
    "read_prior",
    "read_targets",
    "renyi",
    "scaled",
    "sobol",
    "square_root",
]
