"""Aggregators over sleeping experts, for losses that come from anywhere."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_scalar

from trustml.online._kernels import distribution, expert_log_weight
from trustml.online._passes import chunks, hedge_rounds, new_hedge


def _surprise(prior):
    """ln(1/q_g): infinite for an expert of prior 0, for which nothing is guaranteed."""
    with np.errstate(divide="ignore"):
        return np.maximum(-np.log(prior), 0)


def adanormalhedge_bound(abs_regret, prior):
    """R_g <= sqrt(3 C_g (ln 1/q_g + ln B)), B = 1 + 3/2 sum_g q_g (1 + ln(1 + C_g)); for losses in [0, 1]."""
    log_potential = np.log1p(1.5 * np.sum(prior * (1 + np.log1p(abs_regret))))
    # C_g = 0 is a regret of exactly 0, whatever the prior.
    played = abs_regret > 0
    return np.sqrt(
        np.multiply(3 * abs_regret, _surprise(prior) + log_potential, where=played, out=np.zeros(len(prior)))
    )


def specialists_bound(n_rounds, prior, learning_rate):
    """R_g <= ln(1/q_g) / eta + eta T_g / 8 after T_g awake rounds; for losses in [0, 1]."""
    return _surprise(prior) / learning_rate + learning_rate * n_rounds / 8


class _SleepingHedge:
    """What the two aggregators share: rounds, checks and the regret of every expert."""

    def __init__(self, n_experts, *, prior, loss_scale, learning_rate):
        self.n_experts = check_scalar(n_experts, "n_experts", Integral, min_val=1)
        self.loss_scale = check_scalar(loss_scale, "loss_scale", Real, min_val=0, include_boundaries="neither")
        self._learning_rate = learning_rate
        if prior is None:
            prior = np.ones(n_experts)
        prior = np.asarray(prior, dtype=np.float64)
        if prior.shape != (n_experts,) or not np.isfinite(prior).all() or (prior < 0).any() or not prior.sum():
            raise ValueError(
                f"prior must be {n_experts} non-negative numbers with a positive sum, one per expert; got {prior!r}."
            )
        self.prior = prior / prior.sum()
        self.n_rounds_ = np.zeros(n_experts)
        self._state = new_hedge(self.prior)

    def __repr__(self):
        return f"{type(self).__name__}(n_experts={self.n_experts})"

    @property
    def regret_(self):
        """Expected loss of the mixture minus loss of each expert over its awake rounds, (n_experts,)."""
        return self._state.regret / self.loss_scale

    @property
    def abs_regret_(self):
        """Sum of the absolute values of those differences, (n_experts,)."""
        return self._state.abs_regret / self.loss_scale

    def weights(self, awake=None):
        """The distribution over experts for the next round.

        Parameters
        ----------
        awake : array-like of bool of shape (n_experts,) or (n_rows, n_experts), default=None
            Who is awake; everybody by default.

        Returns
        -------
        ndarray of the shape of ``awake``
            Rows sum to 1, or to 0 where nobody is awake.
        """
        awake = self._check_awake(np.ones(self.n_experts, bool) if awake is None else awake)
        return distribution(expert_log_weight(self._state, self._kind, np), awake, np)

    def update(self, losses, awake=None, sample_weight=None, *, return_weights=False):
        """Play one round, or many in row order.

        Parameters
        ----------
        losses : array-like of shape (n_experts,) or (n_rounds, n_experts)
            Loss of each expert, in [0, 1 / loss_scale]. Losses of sleeping experts are not read and may be NaN.
        awake : array-like of bool of the same shape, default=None
            Everybody by default.
        sample_weight : float or array-like of shape (n_rounds,), default=None
            Importance of each round in [0, 1]; 0 is the same as nobody awake.
        return_weights : bool, default=False
            Also return the distribution that each round was played with.

        Returns
        -------
        float or ndarray of shape (n_rounds,)
            Expected loss of each round, 0 where nobody is awake; with ``return_weights`` a pair.
        """
        losses = check_array(losses, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="losses")
        single = losses.ndim == 1
        losses = np.atleast_2d(losses)
        if losses.shape[1:] != (self.n_experts,):
            raise ValueError(
                f"losses must have a column for each of {self.n_experts} experts; got shape {losses.shape}."
            )
        awake = self._check_awake(np.ones(losses.shape, bool) if awake is None else np.atleast_2d(awake))
        if losses.shape != awake.shape:
            raise ValueError(f"losses and awake must have the same shape; got {losses.shape} and {awake.shape}.")
        weight = np.ones(len(losses)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        weight = np.atleast_1d(weight)
        if weight.shape != (len(losses),) or not ((weight >= 0) & (weight <= 1)).all():
            raise ValueError(f"sample_weight must be {len(losses)} numbers in [0, 1]; got {sample_weight!r}.")
        scaled = losses * self.loss_scale
        outside = awake & ~((scaled >= 0) & (scaled <= 1 + 1e-12))
        if outside.any():
            t, g = np.argwhere(outside)[0]
            raise ValueError(
                f"losses of awake experts must lie in [0, 1 / loss_scale] = [0, {1 / self.loss_scale:g}], without "
                f"which there is no guarantee; got {float(losses[t, g])} for expert {g} in round {t}."
            )
        expected, weights = np.zeros(len(losses)), np.zeros(losses.shape)
        for chunk in chunks(len(losses)):
            self._state, weights[chunk], expected[chunk] = hedge_rounds(
                self._state, scaled[chunk], awake[chunk], weight[chunk], self._learning_rate, self._kind
            )
            self.n_rounds_ = self.n_rounds_ + weight[chunk] @ awake[chunk]
        expected /= self.loss_scale
        if single:
            expected, weights = float(expected[0]), weights[0]
        return (expected, weights) if return_weights else expected

    def _check_awake(self, awake):
        awake = np.asarray(awake)
        if awake.dtype != bool and not np.isin(awake, (0, 1)).all():
            raise ValueError("awake must be boolean.")
        if awake.ndim not in (1, 2) or awake.shape[-1] != self.n_experts:
            raise ValueError(f"awake must have a column for each of {self.n_experts} experts; got shape {awake.shape}.")
        return awake.astype(bool)


class AdaNormalHedge(_SleepingHedge):
    """Parameter-free aggregation of experts that may sleep.

    In every round the awake experts are weighted by

        w(R, C) = [Phi(R + 1, C + 1) - Phi(R - 1, C + 1)] / 2,    Phi(R, C) = exp(max(R, 0)^2 / 3C),

    where R is the regret to the expert so far and C the sum of its absolute instances. There is no learning rate
    and no horizon: against *every* sequence of losses in [0, 1], over the rounds in which expert g was awake,

        R_g <= sqrt(3 C_g (ln(1 / q_g) + ln B)),    B = 1 + 3/2 sum_g q_g (1 + ln(1 + C_g)).

    Parameters
    ----------
    n_experts : int
        Number of experts.
    prior : array-like of shape (n_experts,), default=None
        q, normalised to sum 1; uniform by default.
    loss_scale : float, default=1.0
        Factor on losses before they enter R and C. Small losses are learnt from slowly; the guarantee asks
        for ``loss_scale * loss <= 1``.

    Attributes
    ----------
    regret_ : ndarray of shape (n_experts,)
        Expected loss of the mixture minus the expert's loss, over its awake rounds; in units of the losses.
    abs_regret_ : ndarray of shape (n_experts,)
        Sum of absolute instances of the same.
    n_rounds_ : ndarray of shape (n_experts,)
        Total weight of the rounds each expert was awake in.

    See Also
    --------
    Specialists : Exponential weights, with a constant bound for exp-concave losses.
    GroupwiseRegressor : One expert per group of people.

    References
    ----------
    H. Luo and R. E. Schapire, "Achieving All with No Parameters: AdaNormalHedge", COLT 2015.

    Examples
    --------
    >>> from trustml.online import AdaNormalHedge
    >>> hedge = AdaNormalHedge(2)
    >>> hedge.update([0.0, 1.0])
    0.5
    >>> hedge.weights().round(4)
    array([0.9191, 0.0809])
    >>> hedge.weights([False, True])
    array([0., 1.])
    """

    _kind = "adanormalhedge"

    def __init__(self, n_experts, *, prior=None, loss_scale=1.0):
        super().__init__(n_experts, prior=prior, loss_scale=loss_scale, learning_rate=1.0)

    def regret_bound(self):
        """The guarantee on ``regret_`` for the rounds played so far, (n_experts,)."""
        return adanormalhedge_bound(self._state.abs_regret, self.prior) / self.loss_scale


class Specialists(_SleepingHedge):
    """Exponential weights over experts that may sleep.

    Awake experts share their total mass anew, in proportion to ``share * exp(-learning_rate * loss)``; the mass of
    the sleeping ones stays. For a loss that is ``learning_rate``-exp-concave in the prediction (squared loss on an
    interval of length 1: 1/2) the loss of the *weighted mean prediction* exceeds that of expert g, over its awake
    rounds, by at most ``ln(1 / q_g) / learning_rate``, however long the stream. The expected loss exceeds it by at
    most ``learning_rate * T_g / 8`` more.

    Parameters
    ----------
    n_experts : int
        Number of experts.
    learning_rate : float, default=0.5
        Learning rate of the scaled losses.
    prior : array-like of shape (n_experts,), default=None
        q, normalised to sum 1; uniform by default.
    loss_scale : float, default=1.0
        Factor on losses; ``loss_scale * loss`` must lie in [0, 1].

    Attributes
    ----------
    regret_, abs_regret_, n_rounds_ : ndarray of shape (n_experts,)
        As in :class:`AdaNormalHedge`.

    References
    ----------
    Y. Freund, R. E. Schapire, Y. Singer and M. K. Warmuth, "Using and combining predictors that specialize",
    STOC 1997.

    Examples
    --------
    >>> from trustml.online import Specialists
    >>> hedge = Specialists(2, learning_rate=1.0)
    >>> hedge.update([[0.0, 1.0], [0.0, 1.0]]).round(4)
    array([0.5   , 0.2689])
    >>> hedge.weights().round(4)
    array([0.8808, 0.1192])
    """

    _kind = "specialists"

    def __init__(self, n_experts, *, learning_rate=0.5, prior=None, loss_scale=1.0):
        self.learning_rate = check_scalar(learning_rate, "learning_rate", Real, min_val=0, include_boundaries="neither")
        super().__init__(n_experts, prior=prior, loss_scale=loss_scale, learning_rate=learning_rate)

    def regret_bound(self):
        """The guarantee on ``regret_`` for the rounds played so far, (n_experts,)."""
        return specialists_bound(self.n_rounds_, self.prior, self.learning_rate) / self.loss_scale
