"""Online regression with a regret guarantee for every group at once."""

from contextlib import nullcontext
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, Interval, StrOptions, fit_context
from trustml.online._accounts import RegretAccounts
from trustml.online._experts import GroupExperts
from trustml.online._input import check_float32_is_safe, check_stream_goes_on, stream_parameters, stream_rows
from trustml.online._kernels import HedgeState, distribution, expert_log_weight
from trustml.online._membership import (
    ALWAYS,
    align,
    membership_from_groups,
    membership_from_table,
)
from trustml.online._passes import FEW_ROWS, chunks, hedge_rounds, new_hedge, one_blas_thread, row_uniforms
from trustml.online._regret import origin_of


class GroupwiseRegressor(GroupExperts, RegretAccounts, RegressorMixin, BaseEstimator):
    """Online regression that keeps every group close to that group's own best model in hindsight.

    One online regression per group learns from the rows of its group; groups may overlap. In every row the experts
    of the groups that the row belongs to are awake, and AdaNormalHedge weighs them by how they did, row by row, for
    rows in which they were awake. For *every* sequence of rows with losses in [0, 1], the cumulative loss over the
    rows of each group exceeds that of the group's best linear model by a term of order ``sqrt(T_g log G)``, for all
    groups at once.

    Order matters: :meth:`fit` is one pass in row order, and a batch in :meth:`partial_fit` is the loop over its
    rows, to rounding.

    Parameters
    ----------
    expert : {"ridge", "forward"} or estimator with ``partial_fit``, default="ridge"
        The learner of each group: exact online ridge, the forward algorithm of Azoury, Warmuth and Vovk, or clones of
        an estimator.
    groups : dict or list, default=None
        How to find a row's groups from X when no ``membership`` is passed, for use in pipelines: from names to
        conditions, each a callable from X to booleans, a triple ``(column, operator, value)`` or a list of conditions
        that all must hold; or a list of callables and names of 0/1 columns. See :func:`make_intersections`.
    include_always : bool, default=True
        Whether one more expert, "always", sees every row and takes part. It makes the ordinary regret one of the
        guarantees, and gives every row an expert.
    alpha : float, default=1.0
        Ridge penalty, positive.
    fit_intercept : bool, default=True
        Whether ridge experts, and the models they are compared with in hindsight, have an (unpenalised) intercept.
    clip : bool or (low, high), default=None
        Interval that experts' predictions are clipped to: never with False, to ``target_range`` with True. None is
        True if a target range is given, else False.
    target_range : (low, high), default=None
        Interval of the targets; a target outside is an error. Losses that drive the weights are divided by
        ``(high - low)^2``. Without it they are plain squared errors, and should be at most 1.
    aggregator : {"adanormalhedge", "specialists"}, default="adanormalhedge"
        How awake experts are weighed; "specialists" are exponential weights of learning rate 1/2.
    prediction : {"mean", "sample"}, default="mean"
        Predict with the weighted mean of the awake experts, never worse than the expected loss, or with one of them
        drawn by its weight.
    loss_scale : float, default=1.0
        Factor on losses before they move the weights. Small losses move them slowly; the guarantee asks for scaled
        losses of at most 1.
    fallback : {"always", "nan", "raise"}, default="always"
        What rows are predicted in which nobody is awake (there are none if ``include_always``): by the "always"
        expert, which is then trained although it has no part in the weights, by NaN, or not at all.
        They are counted in ``n_fallback_rows_``.
    dtype : {"float64", "float32"}, default="float64"
        Arithmetic of ridge experts within a batch; "float32" needs ``alpha >= 0.01``.
    record : {"losses", None}, default="losses"
        Whether to keep predictions and losses of every row, and up to 40 checkpoints of Gram matrices, for
        :meth:`regret_curve`. With None memory does not grow with the stream.
    random_state : int, RandomState instance or None, default=None
        For ``prediction="sample"``.

    Attributes
    ----------
    group_names_ : ndarray of shape (n_groups,)
        Names; those of DataFrame columns or "group0", ... Last "always" if that expert is trained.
    group_counts_ : ndarray of shape (n_groups,)
        Rows of positive weight per group.
    coef_ : ndarray of shape (n_groups, n_features)
        Coefficients of ridge experts.
    intercept_ : ndarray of shape (n_groups,)
        Intercepts of ridge experts.
    covariance_ : ndarray of shape (n_groups, n_features, n_features)
        Inverse penalised Gram matrices of ridge experts.
    experts_ : list of estimators
        The experts, if they are estimators.
    regret_ : ndarray of shape (n_groups,)
        Sum over the group's rows of expected loss minus own expert's loss, as the aggregator sees losses: divided by
        the squared length of ``target_range`` and times ``loss_scale``.
    abs_regret_ : ndarray of shape (n_groups,)
        Sum of the absolute values of the same.
    weights_ : ndarray of shape (n_groups,)
        Weights of the experts if all were awake.
    online_predictions_, expected_losses_, mixture_losses_ : ndarray of shape (n_rows,)
        Per row so far, before it was learnt: the prediction, the expected squared error over the distribution of
        experts, and the squared error of their weighted mean.
    expert_losses_ : ndarray of shape (n_rows, n_groups)
        Squared error of each expert, NaN where it slept.
    n_rows_seen_ : int
        Rows so far.
    n_fallback_rows_ : int
        Rows of positive weight that nobody was awake in.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    OnlineRidge : A single exact online ridge.
    AdaNormalHedge : The aggregator, for losses that come from anywhere.
    GroupRegretDisplay : Plots of the regret of every group.

    Notes
    -----
    Experts do not see the weights, hence a batch is one blocked exact regression per group followed by one scan over
    the table of losses. Feedback to the aggregator is the expected loss, as in the paper. The comparison in hindsight
    is exact and needs no row to be kept. A row of weight 0 changes nothing; weights above 1 leave the guarantee.

    The method is not fairness by levelling: it brings each group to its own best model, and does not equalise errors.
    With little data, or alike groups, one model for all can win.

    References
    ----------
    K. Acharya, E. R. Arunachaleswaran, S. Kannan, A. Roth and J. Ziani, "Oracle Efficient Algorithms for Groupwise
    Regret", ICLR 2024.
    H. Luo and R. E. Schapire, "Achieving All with No Parameters: AdaNormalHedge", COLT 2015.

    Examples
    --------
    Two groups with opposite slopes: one model for all cannot serve either.

    >>> import numpy as np
    >>> from trustml.online import GroupwiseRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, green = rng.uniform(size=(500, 1)), rng.random(500) < 0.3
    >>> y = np.where(green, X[:, 0], 1 - X[:, 0])
    >>> model = GroupwiseRegressor(target_range=(0, 1)).fit(X, y, membership=np.column_stack([green, ~green]))
    >>> report = model.regret_report()
    >>> report.always_loss.round(1), report.mixture_loss.round(1)
    (array([23.3, 12.9, 36.2]), array([2. , 1.8, 3.8]))
    >>> model.predict([[1.0], [1.0]], membership=[[1, 0], [0, 1]]).round(1)
    array([1., 0.])
    """

    _parameter_constraints = {
        "expert": [StrOptions({"ridge", "forward"}), HasMethods(["partial_fit", "predict"])],
        "groups": [dict, list, tuple, None],
        "include_always": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "clip": ["boolean", tuple, list, None],
        "target_range": [tuple, list, None],
        "aggregator": [StrOptions({"adanormalhedge", "specialists"})],
        "prediction": [StrOptions({"mean", "sample"})],
        "loss_scale": [Interval(Real, 0, None, closed="neither")],
        "fallback": [StrOptions({"always", "nan", "raise"})],
        "dtype": [StrOptions({"float32", "float64"})],
        "record": [StrOptions({"losses"}), None],
        "random_state": ["random_state"],
    }
    _kept_by_a_stream = (
        *("expert", "include_always", "alpha", "fit_intercept"),
        *("target_range", "aggregator", "loss_scale", "fallback", "record"),
    )
    _learning_rate = 0.5  # of specialists: squared loss on [0, 1] is 1/2-exp-concave

    def __init__(
        self,
        expert="ridge",
        *,
        groups=None,
        include_always=True,
        alpha=1.0,
        fit_intercept=True,
        clip=None,
        target_range=None,
        aggregator="adanormalhedge",
        prediction="mean",
        loss_scale=1.0,
        fallback="always",
        dtype="float64",
        record="losses",
        random_state=None,
    ):
        self.expert = expert
        self.groups = groups
        self.include_always = include_always
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.clip = clip
        self.target_range = target_range
        self.aggregator = aggregator
        self.prediction = prediction
        self.loss_scale = loss_scale
        self.fallback = fallback
        self.dtype = dtype
        self.record = record
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, membership=None, sample_weight=None):
        """Forget everything, then learn the rows in order, once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        y : array-like of shape (n_samples,)
            Targets.
        membership : boolean array, sparse matrix or DataFrame of shape (n_samples, n_groups), default=None
            Who belongs to which group. Columns of a DataFrame name the groups. By default from ``groups``, or no group
            but "always".
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in [0, 1]; 0 is the same as no row. (Larger weights are computed with, without a guarantee.)

        Returns
        -------
        self : GroupwiseRegressor
        """
        self._advance(X, y, membership, sample_weight, reset=True)
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, membership=None, sample_weight=None):
        """Learn more rows, in order; a DataFrame ``membership`` may bring new groups. As :meth:`fit` otherwise."""
        self._advance(X, y, membership, sample_weight, reset=not hasattr(self, "n_rows_seen_"))
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def predict_online(self, X, y, membership=None, sample_weight=None):
        """Predict each row from the rows before it, then learn it; continues the stream as :meth:`partial_fit` does.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions, each made before the row's own target was seen.
        """
        return self._advance(X, y, membership, sample_weight, reset=not hasattr(self, "n_rows_seen_"))

    def predict(self, X, membership=None):
        """Predict rows from everything learnt so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        membership : boolean array, sparse matrix or DataFrame of shape (n_samples, n_groups), default=None
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        raw = X
        X = validate_data(self, X, reset=False, dtype=np.float64)
        table, names = self._table(raw, membership, len(X))
        table, _ = align(table, names, self._known_names(), may_grow=False)
        awake = self._with_always(table)
        self._check_served(awake)
        prediction = np.concatenate([self._expert_predictions(X[rows], awake[rows]) for rows in chunks(len(X))])
        state = HedgeState(self.regret_, self.abs_regret_, self._log_share)
        weights = distribution(expert_log_weight(state, self.aggregator, np), awake & self._in_hedge, np)
        return self._aggregate(self._clipped(prediction), weights)[0]

    # --- the stream

    def _advance(self, X, y, membership, sample_weight, *, reset):
        check_float32_is_safe(self.dtype, self.alpha)
        self._interval()
        if not reset:
            check_stream_goes_on(self._began_with, self)
        raw = X
        X, y, weight = stream_rows(self, X, y, sample_weight, reset=reset)
        self._check_targets(y)
        table, names = self._table(raw, membership, len(y), fresh=reset)
        if reset:
            if not (table.shape[1] or self.include_always):
                raise ValueError("include_always=False leaves no expert without groups or membership.")
            self._start(X, y, names or [f"group{i}" for i in range(table.shape[1])])
        else:
            table, new = align(table, names, self._known_names(), may_grow=self.groups is None)
            if new:
                self._grow(new)
        awake = self._with_always(table)
        self._check_served(awake)
        online = np.zeros(len(y))
        final_row = self.n_rows_seen_ + len(y)
        with one_blas_thread() if len(y) > FEW_ROWS else nullcontext():  # entering costs a request 30 µs
            for rows in chunks(len(y)):
                online[rows] = self._learn(X[rows], y[rows], weight[rows], awake[rows], final_row)
        return online

    def _learn(self, X, y, weight, awake, final_row):
        """One chunk. Experts and books change together, after everything is computed."""
        experts, prediction = self._expert_pass(X, y, weight, awake)
        prediction = self._clipped(prediction)
        losses = np.where(awake, (prediction - y[:, None]) ** 2, 0.0)
        scale = self._loss_factor()
        in_hedge = awake & self._in_hedge
        hedge, distributions, expected = hedge_rounds(
            HedgeState(self.regret_, self.abs_regret_, self._log_share),
            losses * scale,
            in_hedge,
            weight,
            self._learning_rate,
            self.aggregator,
        )
        online, mean, unserved = self._aggregate(prediction, distributions, self.n_rows_seen_)
        expected = expected / scale
        mixture = (mean - y) ** 2
        expected[unserved] = mixture[unserved]

        largest = (weight[:, None] * np.where(in_hedge, losses, 0.0)).max() * scale
        self._largest_loss = max(self._largest_loss, float(largest))
        self._store_experts(experts)
        self.regret_, self.abs_regret_, self._log_share = hedge
        self.n_fallback_rows_ += int((unserved & (weight > 0)).sum())
        self._keep_accounts(X, y, weight, awake, losses, online, expected, mixture, final_row)
        return online

    def _aggregate(self, prediction, distributions, first_row=None):
        """Predictions, their weighted means, and the rows that nobody served."""
        unserved = ~(distributions > 0).any(axis=1)
        mean = np.einsum("ij,ij->i", distributions, prediction)
        mean[unserved] = prediction[unserved, -1] if self.fallback == "always" else np.nan
        if self.prediction == "mean":
            return mean, mean, unserved
        first_row = self.n_rows_seen_ if first_row is None else first_row
        draw = row_uniforms(self._seed, first_row, len(mean))[:, None] * distributions.sum(axis=1, keepdims=True)
        chosen = (np.cumsum(distributions, axis=1) <= draw).sum(axis=1)
        chosen = np.minimum(chosen, distributions.shape[1] - 1)
        sampled = prediction[np.arange(len(mean)), chosen]
        return np.where(unserved, mean, sampled), mean, unserved

    def _start(self, X, y, names):
        self._has_always = self.include_always or self.fallback == "always"
        n_experts = len(names) + self._has_always
        self.group_names_ = np.array([*names, ALWAYS][:n_experts], dtype=object)
        self._in_hedge = np.ones(n_experts, bool)
        if self._has_always:
            self._in_hedge[-1] = self.include_always
        self._seed = seed_from(self.random_state)
        self._began_with = stream_parameters(self, self._kept_by_a_stream)
        self.regret_, self.abs_regret_, self._log_share = new_hedge(np.ones(n_experts))
        self._open_accounts(n_experts, X.shape[1], origin_of(X, y, self.fit_intercept))
        self._store_experts(self._new_experts(n_experts, X.shape[1]))

    def _grow(self, names):
        """Groups that appear in the middle of a stream: asleep so far, hence nothing else changes."""
        at, n_new = len(self._known_names()), len(names)
        self._grow_experts(at, n_new)
        self._grow_accounts(at, n_new)
        self.group_names_ = np.insert(self.group_names_, [at] * n_new, names)
        self._in_hedge = np.insert(self._in_hedge, [at] * n_new, True)
        # The prior is uniform over groups; only ratios of weights matter, so that of a newcomer is 1 as well.
        self.regret_, self.abs_regret_, self._log_share = (
            np.insert(field, [at] * n_new, 0.0) for field in (self.regret_, self.abs_regret_, self._log_share)
        )

    def _known_names(self):
        names = self.group_names_.tolist()
        return names[:-1] if self._has_always else names

    def _table(self, X, membership, n_rows, *, fresh=False):
        """Membership (n, G) of named groups, and their names if they have any."""
        if membership is not None and self.groups is not None:
            raise ValueError("membership must not be passed to an estimator with groups; give one of the two.")
        if membership is not None:
            return membership_from_table(membership, n_rows)
        if self.groups is not None:
            return membership_from_groups(self.groups, X)
        if not fresh and self._known_names():
            raise ValueError(f"membership is needed: the stream has the groups {self._known_names()}.")
        return np.zeros((n_rows, 0), bool), None

    def _with_always(self, table):
        if self._has_always:
            table = np.column_stack([table, np.ones(len(table), bool)])
        return np.ascontiguousarray(table)  # sums come out alike whatever container the groups came in

    def _check_served(self, awake):
        unserved = ~(awake & self._in_hedge).any(axis=1)
        if self.fallback == "raise" and unserved.any():
            raise ValueError(
                f"{unserved.sum()} rows belong to no group, the first at position {unserved.argmax()}; allow them "
                "with fallback='always' or fallback='nan'."
            )

    def _interval(self):
        """The interval that predictions are clipped to, or None."""
        for name, pair in (("target_range", self.target_range), ("clip", self.clip)):
            if pair is None or isinstance(pair, (bool, np.bool_)):
                continue
            if (
                len(pair) != 2
                or not all(isinstance(end, Real) for end in pair)
                or not -np.inf < pair[0] < pair[1] < np.inf
            ):
                raise ValueError(f"{name} must be a pair (low, high) of finite numbers with low < high; got {pair!r}.")
        if self.clip is None or self.clip is True:
            if self.clip and self.target_range is None:
                raise ValueError("clip=True needs a target_range to clip to.")
            return self.target_range
        return None if self.clip is False else self.clip

    def _clipped(self, prediction):
        interval = self._interval()
        return prediction if interval is None else np.clip(prediction, *interval)

    def _loss_factor(self):
        if self.target_range is None:
            return self.loss_scale
        low, high = self.target_range
        return self.loss_scale / (high - low) ** 2

    def _check_targets(self, y):
        if self.target_range is None:
            return
        low, high = self.target_range
        outside = ~((y >= low) & (y <= high))
        if outside.any():
            raise ValueError(
                f"y must lie in target_range=({low}, {high}); got {y[outside.argmax()]!r} at position "
                f"{outside.argmax()} and {outside.sum() - 1} more outside."
            )
