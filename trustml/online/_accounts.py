"""The books of a groupwise stream: what was recorded, and the regret of every group."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from trustml.online._aggregators import adanormalhedge_bound, specialists_bound
from trustml.online._kernels import HedgeState, distribution, expert_log_weight
from trustml.online._regret import (
    checkpoint_stride,
    group_moments,
    hindsight_loss,
    pack,
    stacked_rows,
    unpack,
)

_PREDICTION, _EXPECTED, _MIXTURE, _WEIGHT, _EXPERTS = 0, 1, 2, 3, 4  # columns of the record


class RegretAccounts:
    """What :class:`GroupwiseRegressor` knows about its own past. Constant memory, apart from the record."""

    def _open_accounts(self, n_experts, n_features, origin):
        p = n_features + 2
        self.n_rows_seen_ = 0
        self.n_fallback_rows_ = 0
        self.group_counts_ = np.zeros(n_experts, dtype=np.int64)
        self._weight_sums = np.zeros(n_experts)
        self._loss_sums = np.zeros((n_experts, 4))  # expected, mixture, own expert, always-on expert
        self._largest_loss = 0.0
        self._origin = origin
        self._moments = np.zeros((n_experts, p, p))
        self._checkpoint_rows, self._checkpoint_moments = [], []
        self._record = np.zeros((0, _EXPERTS + n_experts))

    def _grow_accounts(self, at, n_new):
        self.group_counts_ = np.insert(self.group_counts_, [at] * n_new, 0)
        self._weight_sums = np.insert(self._weight_sums, [at] * n_new, 0.0)
        self._loss_sums = np.insert(self._loss_sums, [at] * n_new, 0.0, axis=0)
        self._moments = np.insert(self._moments, [at] * n_new, 0.0, axis=0)
        self._checkpoint_moments = [
            np.insert(moments, [at] * n_new, 0.0, axis=0) for moments in self._checkpoint_moments
        ]
        self._record = np.insert(self._record, [_EXPERTS + at] * n_new, np.nan, axis=1)

    def _keep_accounts(self, X, y, weight, awake, losses, prediction, expected, mixture, final_row):
        """Enter a chunk of rows; ``final_row`` is where the current call will end.

        ``losses`` (n, n_experts) is 0 where asleep; ``expected`` and ``mixture`` are NaN in rows that nobody served.
        """
        weighted = weight[:, None] * awake
        own = np.einsum("ij,ij->j", weighted, losses)
        always = weighted.T @ losses[:, -1] if self._has_always else np.full(len(own), np.nan)
        shared = np.nan_to_num(np.column_stack([expected, mixture]))  # rows without a loss belong to no group
        self._loss_sums = self._loss_sums + np.column_stack([weighted.T @ shared, own, always])
        self.group_counts_ = self.group_counts_ + awake[weight > 0].sum(axis=0)
        self._weight_sums = self._weight_sums + weighted.sum(axis=0)
        self._enter_moments(stacked_rows(X, y, self._origin), weight, awake, final_row)
        if self.record is not None:
            self._enter_record(
                np.column_stack([prediction, expected, mixture, weight, np.where(awake, losses, np.nan)])
            )
        self.n_rows_seen_ += len(y)

    def _enter_moments(self, rows, weight, awake, final_row):
        first, n = self.n_rows_seen_, len(rows)
        if self.record is None:
            self._moments += group_moments(rows, weight, awake)
            return
        stride = checkpoint_stride(final_row)
        kept = [i for i, row in enumerate(self._checkpoint_rows) if row % stride == 0]
        if len(kept) < len(self._checkpoint_rows):
            self._checkpoint_rows = [self._checkpoint_rows[i] for i in kept]
            self._checkpoint_moments = [self._checkpoint_moments[i] for i in kept]
        cuts = np.arange((first // stride + 1) * stride, first + n + 1, stride) - first
        start = 0
        for stop in [*cuts, n]:
            if start < stop:
                part = slice(start, stop)
                self._moments += group_moments(rows[part], weight[part], awake[part])
            if stop in cuts and first + stop not in self._checkpoint_rows:
                self._checkpoint_rows.append(int(first + stop))
                self._checkpoint_moments.append(pack(self._moments))
            start = stop

    def _enter_record(self, rows):
        # Capacity doubles, so that a service that sends single rows does not copy its past every time.
        used, capacity = self.n_rows_seen_, len(self._record)
        if used + len(rows) > capacity:
            grown = np.empty((max(2 * capacity, used + len(rows)), self._record.shape[1]))
            grown[:used] = self._record[:used]
            self._record = grown
        self._record[used : used + len(rows)] = rows

    def _recorded(self, columns):
        check_is_fitted(self)
        if self.record is None:
            raise AttributeError("Rows are not kept with record=None.")
        return self._record[: self.n_rows_seen_, columns]

    @property
    def online_predictions_(self):
        """Predictions made before each row was learnt, (n_rows,)."""
        return self._recorded(_PREDICTION)

    @property
    def expected_losses_(self):
        """Expected squared error over the distribution of experts, (n_rows,)."""
        return self._recorded(_EXPECTED)

    @property
    def mixture_losses_(self):
        """Squared error of the weighted mean of the experts, (n_rows,)."""
        return self._recorded(_MIXTURE)

    @property
    def expert_losses_(self):
        """Squared error of each expert, NaN where it slept, (n_rows, n_groups)."""
        return self._recorded(slice(_EXPERTS, None))

    @property
    def weights_(self):
        """What the aggregator would weigh each expert with if all were awake, (n_groups,)."""
        check_is_fitted(self)
        state = HedgeState(self.regret_, self.abs_regret_, self._log_share)
        return distribution(expert_log_weight(state, self.aggregator, np), self._in_hedge, np)

    def regret_bound(self, *, against="expert"):
        """The guarantee on the regret of every group, for the rows seen so far.

        Parameters
        ----------
        against : {"expert", "hindsight"}, default="expert"
            "expert" bounds ``regret_``, the regret to the group's own online expert. "hindsight" adds the regret of
            that expert: it bounds the expected loss of the group minus the ``penalised_hindsight_loss`` of
            :meth:`regret_report`, in the units of ``regret_``; it needs the "ridge" expert, a ``target_range`` with
            predictions clipped to it, and unit weights.

        Returns
        -------
        ndarray of shape (n_groups,)
            NaN for an always-on expert that is not part of the aggregation.

        Raises
        ------
        ValueError
            If a loss exceeded 1 after scaling, without which there is no guarantee.

        Notes
        -----
        Azoury-Warmuth and Zhdanov-Kalnishkan give clipped ridge a regret of at most
        ``(high - low)^2 ln det(I + X'X / alpha)``; the unpenalised intercept adds ``(high - low)^2 (1 + ln T_g)``.
        """
        check_is_fitted(self)
        if against not in ("expert", "hindsight"):
            raise ValueError(f"against must be 'expert' or 'hindsight'; got {against!r}.")
        if self._largest_loss > 1 + 1e-12:
            raise ValueError(
                f"There is no guarantee for losses above 1 after scaling; the largest was {self._largest_loss:.4g}. "
                "Give the target_range, a smaller loss_scale, or weights of at most 1."
            )
        prior = self._in_hedge / self._in_hedge.sum()
        if self.aggregator == "adanormalhedge":
            bound = adanormalhedge_bound(self.abs_regret_, prior)
        else:
            bound = specialists_bound(self._weight_sums, prior, self._learning_rate)
        bound = np.where(self._in_hedge, bound, np.nan)
        if against == "expert":
            return bound
        if not isinstance(self.expert, str) or self.expert != "ridge" or self._interval() is None:
            raise ValueError(
                "The bound against hindsight needs expert='ridge' and predictions clipped to target_range."
            )
        if self.target_range is None or tuple(self._interval()) != tuple(self.target_range):
            raise ValueError("The bound against hindsight needs predictions clipped to target_range.")
        own = -np.linalg.slogdet(self.alpha * self.covariance_)[1]
        if self.fit_intercept:
            own = own + 1 + np.log(np.maximum(self.group_counts_, 1))
        return bound + self.loss_scale * own

    def regret_report(self):
        """The books of every group.

        Returns
        -------
        :class:`~sklearn.utils.Bunch` of ndarrays of shape (n_groups,), ready for ``pandas.DataFrame``
            group : names
            n_rows : rows of positive weight
            expected_loss, mixture_loss : cumulative squared error of the method, expected and of its weighted mean
            expert_loss : of the group's own expert
            always_loss : of the expert that sees every row, on the rows of the group (the baseline)
            hindsight_loss : of the best linear model in hindsight, by least squares without a penalty
            penalised_hindsight_loss : smallest penalised loss, which the theory compares to
            regret, always_regret : expected_loss and always_loss minus hindsight_loss; NaN for an empty group
        """
        check_is_fitted(self)
        expected, mixture, own, always = self._loss_sums.T
        hindsight = hindsight_loss(self._moments, fit_intercept=self.fit_intercept)
        seen = np.where(self.group_counts_ > 0, 0.0, np.nan)
        return Bunch(
            group=self.group_names_,
            n_rows=self.group_counts_,
            expected_loss=expected,
            mixture_loss=mixture,
            expert_loss=own,
            always_loss=always,
            hindsight_loss=hindsight,
            penalised_hindsight_loss=hindsight_loss(
                self._moments, fit_intercept=self.fit_intercept, penalty=self.alpha
            ),
            regret=expected - hindsight + seen,
            always_regret=always - hindsight + seen,
        )

    def regret_curve(self, group, against="hindsight", *, of="method"):
        """Cumulative regret of one group along its own rows.

        Parameters
        ----------
        group : str or int
            Name or position of the group.
        against : {"hindsight", "expert", "always"}, default="hindsight"
            The comparator: the best linear model of the first n rows (at up to 40 checkpoints and the last row), the
            group's own expert, or the expert that sees every row (at every row).
        of : {"method", "always"}, default="method"
            Whose regret: the expected loss of the method, or the loss of the expert that sees every row.

        Returns
        -------
        positions : ndarray of int of shape (n_points,)
            Numbers n of rows of the group.
        values : ndarray of shape (n_points,)
            Cumulative regret over those rows.
        """
        g = self._group_index(group)
        if against not in ("hindsight", "expert", "always") or of not in ("method", "always"):
            raise ValueError(
                "against must be 'hindsight', 'expert' or 'always' and of must be 'method' or 'always'; "
                f"got {against!r} and {of!r}."
            )
        if "always" in (against, of) and not self._has_always:
            raise ValueError("No expert sees every row with include_always=False and this fallback.")
        weight, experts = self._recorded(_WEIGHT), self.expert_losses_
        mine = ~np.isnan(experts[:, g]) & (weight > 0)
        rows, weight = np.flatnonzero(mine), weight[mine]
        losses = weight * (self.expected_losses_[mine] if of == "method" else experts[mine, -1])
        if against != "hindsight":
            comparator = weight * experts[mine, g if against == "expert" else -1]
            return np.arange(1, len(rows) + 1), np.cumsum(losses - comparator)
        moments = [*(unpack(packed[g]) for packed in self._checkpoint_moments), self._moments[g]]
        position = np.searchsorted(rows, [*self._checkpoint_rows, self.n_rows_seen_])
        position, last = np.unique(position, return_index=True)
        position, last = position[position > 0], last[position > 0]
        if not len(position):
            return position, np.zeros(0)
        hindsight = hindsight_loss(np.stack([moments[i] for i in last]), fit_intercept=self.fit_intercept)
        return position, np.cumsum(losses)[position - 1] - hindsight

    def _group_index(self, group):
        check_is_fitted(self)
        names = self.group_names_.tolist()
        if isinstance(group, str):
            if group not in names:
                raise ValueError(f"group must be one of {names}; got {group!r}.")
            return names.index(group)
        if not isinstance(group, Integral) or not 0 <= group < len(names):
            raise ValueError(f"group must be a name or a position below {len(names)}; got {group!r}.")
        return int(group)
