"""GroupwiseRegressor beside river and beside the code of the paper's authors: rows of Adult per CPU second.

    python -m benchmarks.peers.online [--reference CHECKOUT] [--turns 5] [--write]

All learn the same rows in the same order, one ridge regression per group and AdaNormalHedge over those awake, and must
end with the same cumulative loss. river has no aggregator for experts that sleep: the one in NumPy below is what its
users would write. CHECKOUT is a clone of https://github.com/krishnacharya/multidecomp, which has no licence and is no
part of this project. The others run a prefix in slices between the runs of ours, so that all meet the same machine.
``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.datasets import adult_stream, load_adult
from trustml.online import PAPER_SEEDS, GroupwiseRegressor, shuffled_orders


class River:
    """One BayesianLinearRegression per group and a hand-written AdaNormalHedge."""

    name = "river, one `BayesianLinearRegression` per group"

    def __init__(self, X, y, awake):
        from river.linear_model import BayesianLinearRegression

        self.rows = [dict(enumerate(row)) for row in X.tolist()]  # not counted against river
        self.y, self.awake = y, [np.flatnonzero(row) for row in awake]
        self.models = [BayesianLinearRegression(alpha=1, beta=1) for _ in range(awake.shape[1])]
        self.R, self.C = np.zeros((2, awake.shape[1]))

    def learn(self, start, stop):
        """Expected losses of rows start to stop."""
        losses = np.empty(stop - start)
        for t in range(start, stop):
            x, groups = self.rows[t], self.awake[t]
            R, C = self.R[groups], self.C[groups]
            w = np.exp(np.maximum(R + 1, 0) ** 2 / (3 * C + 3)) - np.exp(np.maximum(R - 1, 0) ** 2 / (3 * C + 3))
            p = w / w.sum() if w.sum() > 0 else np.full(len(w), 1 / len(w))
            loss = np.empty(len(groups))
            for i, g in enumerate(groups):
                loss[i] = (self.models[g].predict_one(x) - self.y[t]) ** 2
                self.models[g].learn_one(x, self.y[t])
            losses[t - start] = expected = p @ loss
            self.R[groups] += expected - loss
            self.C[groups] += abs(expected - loss)
        return losses


class Authors:
    """The code that the paper's tables were made with."""

    name = "the authors' code"

    def __init__(self, X, y, awake):
        from bilevel.Anh import Adanormal_sleepingexps
        from bilevel.ORidge import Manual_inv_LinearExpert

        experts = [Manual_inv_LinearExpert(X, y) for _ in range(awake.shape[1])]
        self.hedge = Adanormal_sleepingexps(awake.astype(float), experts)

    def learn(self, start, stop):
        """Expected losses of rows start to stop."""
        for t in range(start, stop):
            self.hedge.get_prob_over_experts(t)
            self.hedge.update_metaexps_loss(t)
        return self.hedge.loss_ada_t_arr[start:stop]


def adult():
    data = adult_stream(load_adult().frame)
    order = next(shuffled_orders(len(data.target), PAPER_SEEDS[:1]))
    X = np.ascontiguousarray(data.data.to_numpy(dtype=float)[order])
    return X, data.target.to_numpy()[order], data.membership.to_numpy()[order]


def in_turns(peers, models, X, y, membership, n_peer_rows, n_turns):
    """CPU seconds per row by turn, and cumulative losses of the rows that all have learnt."""
    seconds = {name: [] for name in [*peers, *models]}
    losses = dict.fromkeys(peers, 0.0)
    for part in np.array_split(np.arange(n_peer_rows), n_turns):
        start, stop = part[0], part[-1] + 1
        for name, peer in peers.items():
            taken, lost = cpu_seconds(peer.learn, start, stop)
            seconds[name].append(taken / (stop - start))
            losses[name] += lost.sum()
        for name, model in models.items():
            seconds[name].append(cpu_seconds(model.fit, X, y, membership)[0] / len(y))
    losses |= {name: model.expected_losses_[:n_peer_rows].sum() for name, model in models.items()}
    return {name: np.array(values) for name, values in seconds.items()}, losses


def spread(values, digits):
    return f"{np.median(values):,.{digits}f} ({values.min():,.{digits}f} to {values.max():,.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="a clone of the authors' repository")
    parser.add_argument("--peer-rows", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()

    X, y, membership = adult()
    kinds = [River]
    if arguments.reference:
        sys.path.insert(0, str(arguments.reference))
        kinds.append(Authors)
    n = arguments.peer_rows
    awake = np.column_stack([membership, np.ones(len(y), bool)])
    peers = {kind.name: kind(X[:n], y[:n], awake[:n]) for kind in kinds}
    models = {
        "trustml": GroupwiseRegressor(fit_intercept=False, clip=False),
        'trustml, `dtype="float32"`': GroupwiseRegressor(fit_intercept=False, clip=False, dtype="float32"),
    }
    first = {name: cpu_seconds(model.fit, X, y, membership)[0] for name, model in models.items()}
    seconds, losses = in_turns(peers, models, X, y, membership, n, arguments.turns)

    lines = []
    for name, taken in seconds.items():
        ratios = [spread(seconds[peer] / taken, 1) if name in models else "" for peer in peers]
        lines.append([name, spread(1 / taken, 0), *ratios, f"{losses[name]:.6f}"])
    text = table(["", "rows per CPU second", *[f"times {kind.__name__}" for kind in kinds], f"loss of {n} rows"], lines)
    text += (
        f"\n\nAdult, {len(y):,} rows, {X.shape[1]} features, {awake.shape[1]} experts, "
        f"{awake.sum(axis=1).mean():.0f} of them awake in a row; the others learn the first {n:,} rows. Median of "
        f"{arguments.turns} turns (range). Compiled before: the first fit of a process takes "
        f"{first['trustml']:.1f} CPU seconds. {time.strftime('%d %B %Y')}; {machine('river')}."
    )
    print(text)
    if arguments.write:
        write_section("online peers", text)


if __name__ == "__main__":
    main()
