"""Online combinatorial optimisation for overlapping groups, through the user's own solver."""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_scalar

from trustml._jax import seed_from
from trustml.online._aggregators import AdaNormalHedge
from trustml.online._membership import membership_from_table


class FollowPerturbedLeader:
    """Follow the perturbed leader, one per group, for decisions that only an oracle can optimise over.

    In every round costs of n elements (the edges of a network, say) are suffered by a decision d, a vector of n
    numbers: d . costs. Every group's learner decides for the oracle's best decision against the costs of the group's
    past plus fresh noise, uniform on [0, noise]^n; AdaNormalHedge weighs the learners of the groups that are awake in
    the round and one of them is drawn. Over the rounds of every group, the expected cost exceeds that of the group's
    best fixed decision by a term of order sqrt(T_g) for learners and weights each.

    Parameters
    ----------
    oracle : callable
        From costs, ndarray of shape (n,), to a decision of shape (n,) that minimises ``decision @ costs`` over the
        feasible ones; a shortest path as the 0/1 vector of its edges, for instance. Noise only adds to costs.
    n_elements : int
        n.
    noise : float
        Width of the perturbation; see :meth:`best_noise`.
    max_cost : float
        Largest cost of a decision in a round. Costs of decisions must lie in [0, max_cost].
    n_groups : int, default=0
        Number of groups.
    include_always : bool, default=True
        Whether one more learner sees every round.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise and of the draws. The noise of a group in a round depends on the seed, the round and
        the group alone.

    Attributes
    ----------
    cumulative_costs_ : ndarray of shape (n_learners, n_elements)
        Costs of the past of every group; the last row is "always" if included.
    group_costs_ : ndarray of shape (n_learners,)
        Expected cost of the method over the rounds of each group.
    learner_costs_ : ndarray of shape (n_learners,)
        Cost of each learner's own decisions.
    total_cost_ : float
        Cost of the decisions that were drawn.
    n_rounds_ : int
        Rounds so far.

    References
    ----------
    A. Kalai and S. Vempala, "Efficient algorithms for online decision problems", JCSS 71, 2005.
    K. Acharya et al., "Oracle Efficient Algorithms for Groupwise Regret", ICLR 2024.

    Examples
    --------
    Two roads; the first is better by day and the second by night.

    >>> import numpy as np
    >>> from trustml.online import FollowPerturbedLeader
    >>> def cheapest(costs):
    ...     return np.eye(len(costs))[costs.argmin()]
    >>> night = np.arange(400) % 2 == 1
    >>> costs = np.where(night[:, None], [1.0, 0.0], [0.0, 1.0])
    >>> leader = FollowPerturbedLeader(cheapest, 2, noise=20.0, max_cost=1.0, n_groups=2, random_state=0)
    >>> decisions = leader.play(costs, np.column_stack([~night, night]))
    >>> float((decisions[-100:] * costs[-100:]).sum())
    0.0
    """

    def __init__(
        self,
        oracle: Callable,
        n_elements,
        *,
        noise,
        max_cost,
        n_groups=0,
        include_always=True,
        random_state=None,
    ):
        if not callable(oracle):
            raise TypeError(f"oracle must be callable; got {oracle!r}.")
        self.oracle = oracle
        self.n_elements = check_scalar(n_elements, "n_elements", Integral, min_val=1)
        self.noise = check_scalar(noise, "noise", Real, min_val=0)
        self.max_cost = check_scalar(max_cost, "max_cost", Real, min_val=0, include_boundaries="neither")
        self.n_groups = check_scalar(n_groups, "n_groups", Integral, min_val=0)
        self.include_always = bool(include_always)
        if not (n_groups or include_always):
            raise ValueError("include_always=False leaves no learner without groups.")
        n_learners = self.n_groups + self.include_always
        self.cumulative_costs_ = np.zeros((n_learners, n_elements))
        self.group_costs_, self.learner_costs_ = np.zeros(n_learners), np.zeros(n_learners)
        self.total_cost_, self.n_rounds_ = 0.0, 0
        self._hedge = AdaNormalHedge(n_learners, loss_scale=1 / self.max_cost)
        self._seed = seed_from(random_state)
        self._pending = None

    @staticmethod
    def best_noise(diameter, max_cost, max_l1, n_rounds):
        """The width that balances the two terms of the bound ``2 sqrt(diameter * max_cost * max_l1 * n_rounds)``.

        Parameters
        ----------
        diameter : float
            Largest L1 distance of two decisions.
        max_cost : float
            Largest cost of a decision in a round.
        max_l1 : float
            Largest L1 norm of the costs of a round.
        n_rounds : int
            Rounds to come.

        Returns
        -------
        float
        """
        return float(np.sqrt(max_cost * max_l1 * n_rounds / diameter))

    def decide(self, awake=None):
        """The decision for the next round.

        Parameters
        ----------
        awake : array-like of bool of shape (n_groups,), default=None
            Groups that the round belongs to. Needed if there are groups.

        Returns
        -------
        ndarray of shape (n_elements,)
            The same until :meth:`update` is told the costs.
        """
        if awake is None and self.n_groups:
            raise ValueError(f"awake is needed: there are {self.n_groups} groups.")
        awake = np.zeros(0, bool) if awake is None else np.asarray(awake)
        if awake.shape != (self.n_groups,) or not np.isin(awake, (0, 1)).all():
            raise ValueError(f"awake must be {self.n_groups} booleans; got {awake!r}.")
        awake = np.append(awake.astype(bool), [True] * self.include_always)
        if not awake.any():
            raise ValueError("Nobody is awake in this round; include_always=True would have a learner for it.")
        decisions = np.zeros(self.cumulative_costs_.shape)
        for g in np.flatnonzero(awake):  # the oracle is the user's code: one call per learner
            noise = np.random.default_rng([self._seed, self.n_rounds_, int(g)]).random(self.n_elements)
            decision = np.asarray(self.oracle(self.cumulative_costs_[g] + self.noise * noise), dtype=np.float64)
            if decision.shape != (self.n_elements,):
                raise ValueError(f"oracle must return {self.n_elements} numbers; got shape {decision.shape}.")
            decisions[g] = decision
        weights = self._hedge.weights(awake)
        draw = np.random.default_rng([self._seed, self.n_rounds_]).random() * weights.sum()
        chosen = min(int((np.cumsum(weights) <= draw).sum()), int(np.flatnonzero(weights)[-1]))
        self._pending = (awake, decisions, chosen)
        return decisions[chosen]

    def update(self, costs):
        """Pay for the decision and learn the costs of all elements.

        Parameters
        ----------
        costs : array-like of shape (n_elements,)
            Costs of the round.

        Returns
        -------
        float
            Expected cost of the decision, over the draw among learners.
        """
        if self._pending is None:
            raise RuntimeError("update must follow decide.")
        costs = np.asarray(costs, dtype=np.float64)
        if costs.shape != (self.n_elements,) or not np.isfinite(costs).all():
            raise ValueError(f"costs must be {self.n_elements} finite numbers; got {costs!r}.")
        awake, decisions, chosen = self._pending
        suffered = decisions @ costs
        if (suffered[awake] < 0).any() or (suffered[awake] > self.max_cost * (1 + 1e-12)).any():
            raise ValueError(
                f"Costs of decisions must lie in [0, max_cost={self.max_cost}]; got {suffered[awake].tolist()}."
            )
        expected = self._hedge.update(suffered, awake)
        self.cumulative_costs_ = self.cumulative_costs_ + np.outer(awake, costs)
        self.group_costs_ = self.group_costs_ + awake * expected
        self.learner_costs_ = self.learner_costs_ + awake * suffered
        self.total_cost_ += float(suffered[chosen])
        self.n_rounds_ += 1
        self._pending = None
        return expected

    def play(self, costs, membership=None):
        """Decide and update for many rounds, in row order.

        Parameters
        ----------
        costs : array-like of shape (n_rounds, n_elements)
            Costs; those of a round are not looked at before its decision.
        membership : boolean array, sparse matrix or DataFrame of shape (n_rounds, n_groups), default=None
            Groups that each round belongs to.

        Returns
        -------
        ndarray of shape (n_rounds, n_elements)
            Decisions.
        """
        costs = np.asarray(costs, dtype=np.float64)
        if costs.ndim != 2 or costs.shape[1] != self.n_elements:
            raise ValueError(f"costs must have {self.n_elements} columns; got shape {costs.shape}.")
        rounds = [None] * len(costs) if membership is None else membership_from_table(membership, len(costs))[0]
        decisions = np.zeros(costs.shape)
        for t, awake in enumerate(rounds):
            decisions[t] = self.decide(awake)
            self.update(costs[t])
        return decisions

    def regret(self):
        """Expected cost over the rounds of each group minus that of its best fixed decision, (n_learners,)."""
        best = np.array([np.asarray(self.oracle(past)) @ past for past in self.cumulative_costs_])
        return self.group_costs_ - best
