"""Semivalues: average marginal contributions, weighted by the size of the coalition that a player joins."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln
from sklearn.utils import check_random_state

from trustml._sklearn import Interval, StrOptions, validate_params
from trustml.valuation._game import MAX_EXACT_PLAYERS, CallableGame, all_coalitions, exact_semivalue

_KINDS = {"shapley", "banzhaf", "beta", "leave_one_out"}


def size_probabilities(n_players: int, kind: str, alpha: float = 1.0, beta: float = 1.0) -> NDArray[np.float64]:
    """Probability, for each size k = 0..n_players-1, that a player joins a coalition of k others.

    The semivalue is the mean over this size, and over the coalitions of this size, of the marginal contribution.
    Computed in logarithms, so that large games do not overflow.
    """
    k = np.arange(n_players)
    log_choose = gammaln(n_players) - gammaln(k + 1) - gammaln(n_players - k)
    if kind == "shapley":
        return np.full(n_players, 1 / n_players)
    if kind == "banzhaf":
        return np.exp(log_choose - (n_players - 1) * np.log(2))
    if kind == "beta":
        return np.exp(log_choose + betaln(k + beta, n_players - 1 - k + alpha) - betaln(alpha, beta))
    return (k == n_players - 1).astype(float)


@dataclass(frozen=True)
class Semivalue:
    """Values of the players of a game.

    Attributes
    ----------
    values : ndarray of shape (n_players,)
        The semivalues, or their estimates.
    standard_errors : ndarray of shape (n_players,)
        Standard errors of the estimates; zero if the values are exact.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64]


@validate_params(
    {
        "game": [callable],
        "n_players": [Interval(Integral, 1, None, closed="left")],
        "kind": [StrOptions(_KINDS)],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "n_permutations": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def semivalue(
    game: Callable[[NDArray], NDArray],
    n_players: int,
    *,
    kind: str = "shapley",
    alpha: float = 16.0,
    beta: float = 1.0,
    n_permutations: int | None = None,
    random_state=None,
) -> Semivalue:
    """Semivalues of the players of any game.

    The semivalue of player i is ``sum_k p_k mean_{|S| = k} [v(S + i) - v(S)]`` over the coalitions S without i, with
    probabilities p_k that depend on the kind: Shapley (uniform), Banzhaf (binomial), Beta (beta-binomial), or
    leave-one-out (everything on the largest coalition).

    Parameters
    ----------
    game : callable
        Takes a boolean array of shape (n_coalitions, n_players) and returns the worth of each coalition, an array
        of shape (n_coalitions,).
    n_players : int
        Number of players.
    kind : {"shapley", "banzhaf", "beta", "leave_one_out"}, default="shapley"
        Which semivalue.
    alpha, beta : float, default=16.0 and 1.0
        Shape of the Beta semivalue, read for ``kind="beta"`` only. As in Kwon & Zou [2]_, a large ``alpha`` favours
        small coalitions; (1, 1) is the Shapley value.
    n_permutations : int or None, default=None
        None computes the exact values from all ``2 ** n_players`` coalitions (at most 16 players). A number
        estimates them from that many random permutations.
    random_state : int, RandomState instance or None, default=None
        Seeds the permutations.

    Returns
    -------
    Semivalue
        With attributes ``values`` and ``standard_errors``, of shape (n_players,).

    References
    ----------
    .. [1] P. Dubey, A. Neyman, R. J. Weber. "Value theory without efficiency". Mathematics of Operations Research,
       1981.
    .. [2] Y. Kwon, J. Zou. "Beta Shapley: a unified and noise-reduced data valuation framework for machine
       learning". AISTATS 2022.

    Examples
    --------
    Three airlines share a runway that must be as long as its largest plane needs:

    >>> import numpy as np
    >>> from trustml.valuation import semivalue
    >>> costs = np.array([1.0, 2.0, 4.0])
    >>> semivalue(lambda masks: (masks * costs).max(axis=1), 3).values.round(3)
    array([0.333, 0.833, 2.833])
    """
    players = CallableGame(game, n_players)
    probabilities = size_probabilities(n_players, kind, alpha, beta)
    if n_permutations is None:
        if n_players > MAX_EXACT_PLAYERS:
            raise ValueError(
                f"n_players={n_players} is too many for exact values, which need 2 ** n_players coalitions: "
                f"at most {MAX_EXACT_PLAYERS}. Give n_permutations to estimate them."
            )
        values = exact_semivalue(players(all_coalitions(n_players)), probabilities)
        return Semivalue(values, np.zeros(n_players))
    random_state = check_random_state(random_state)
    orders = random_state.random_sample((n_permutations, n_players)).argsort(axis=1)
    weighted = players.marginals(orders) * (n_players * probabilities)
    contributions = np.empty_like(weighted)
    np.put_along_axis(contributions, orders, weighted, axis=1)
    return Semivalue(contributions.mean(axis=0), contributions.std(axis=0, ddof=1) / np.sqrt(n_permutations))
