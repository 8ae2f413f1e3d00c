"""FollowPerturbedLeader on shortest paths: enumeration as the oracle of the oracle, bounds, seeds, bad input."""

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from trustml.online import FollowPerturbedLeader

# A 3 x 3 grid from corner to corner, edges right and down: six paths of four edges each.
EDGES = [(i, i + 1) for i in range(9) if i % 3 < 2] + [(i, i + 3) for i in range(6)]


def all_paths():
    paths = []
    for downs in combinations(range(4), 2):
        node, path = 0, np.zeros(len(EDGES))
        for step in range(4):
            after = node + (3 if step in downs else 1)
            path[EDGES.index((node, after))] = 1
            node = after
        paths.append(path)
    return np.array(paths)


PATHS = all_paths()


def shortest_path(costs):
    # Dijkstra takes an explicit zero for a missing edge.
    graph = csr_matrix((np.maximum(costs, 1e-300), np.array(EDGES).T), shape=(9, 9))
    _, before = dijkstra(graph, indices=0, return_predecessors=True)
    path, node = np.zeros(len(EDGES)), 8
    while node:
        path[EDGES.index((before[node], node))] = 1
        node = before[node]
    return path


def network(T=600, seed=0):
    """Rush hour and calm, lorries and cars: edges cost differently in each."""
    rng = np.random.default_rng(seed)
    membership = np.column_stack([rng.random(T) < 0.4, rng.random(T) < 0.5])
    means = rng.random((3, len(EDGES)))
    mean = means[0] + membership @ (means[1:] - 0.5)
    return np.clip(mean + 0.1 * rng.normal(size=(T, len(EDGES))), 0, 1), membership


def make(T=600, **parameters):
    noise = FollowPerturbedLeader.best_noise(8, 4, len(EDGES), T)
    defaults = {"noise": noise, "max_cost": 4.0, "n_groups": 2, "random_state": 0}
    return FollowPerturbedLeader(shortest_path, len(EDGES), **defaults | parameters)


def test_without_noise_it_follows_the_leader():
    costs, _ = network(50)
    leader = make(noise=0.0, n_groups=0)
    decisions = leader.play(costs)
    past = np.zeros(len(EDGES))
    for t in range(1, 50):
        past += costs[t - 1]
        np.testing.assert_allclose(decisions[t] @ past, (PATHS @ past).min())
    np.testing.assert_allclose(leader.total_cost_, (decisions * costs).sum())
    np.testing.assert_allclose(leader.regret(), leader.total_cost_ - (PATHS @ costs.sum(axis=0)).min())


def test_every_group_keeps_its_bound():
    T = 600
    costs, membership = network(T)
    awake = np.column_stack([membership, np.ones(T, bool)])
    leader = make(T)
    decisions = leader.play(costs, membership)
    assert {tuple(d) for d in decisions} <= {tuple(p) for p in PATHS}
    np.testing.assert_allclose(leader.cumulative_costs_, awake.T @ costs)
    best = (PATHS @ leader.cumulative_costs_.T).min(axis=0)
    np.testing.assert_allclose(leader.regret(), leader.group_costs_ - best)
    # Kalai and Vempala bound each learner in expectation; the hedge adds its own bound on every sequence.
    learners = 4 * len(EDGES) * awake.sum(axis=0) / leader.noise + 8 * leader.noise
    assert (leader.learner_costs_ - best <= learners).all()
    assert (leader.group_costs_ - leader.learner_costs_ <= leader._hedge.regret_bound() + 1e-9).all()


def test_groups_gain_over_one_leader_for_all():
    costs, membership = network(1500)
    groups, single = make(1500), make(1500, n_groups=0)
    groups.play(costs, membership)
    single.play(costs)
    assert groups.total_cost_ < single.total_cost_


def test_rounds_one_by_one_and_seeds():
    costs, membership = network(80)
    whole, single, other = make(), make(), make(random_state=1)
    decisions = whole.play(costs, membership)
    for t in range(80):
        decision = single.decide(membership[t])
        np.testing.assert_array_equal(single.decide(membership[t]), decision)
        np.testing.assert_array_equal(decision, decisions[t])
        single.update(costs[t])
    np.testing.assert_array_equal(single.group_costs_, whole.group_costs_)
    assert (other.play(costs, membership) != decisions).any()


def test_bad_input():
    costs, membership = network(10)
    with pytest.raises(TypeError, match="oracle must be callable"):
        FollowPerturbedLeader(None, 3, noise=1.0, max_cost=1.0)
    with pytest.raises(ValueError, match="leaves no learner"):
        make(n_groups=0, include_always=False)
    with pytest.raises(RuntimeError, match="update must follow decide"):
        make().update(costs[0])
    with pytest.raises(ValueError, match="awake is needed"):
        make().decide()
    with pytest.raises(ValueError, match="awake must be 2 booleans"):
        make().decide([True])
    with pytest.raises(ValueError, match="Nobody is awake"):
        make(include_always=False).decide([False, False])
    with pytest.raises(ValueError, match=r"in \[0, max_cost=0.1\]"):
        make(max_cost=0.1).play(costs, membership)
    with pytest.raises(ValueError, match="12 finite numbers"):
        make().play(np.full((1, 12), np.nan), membership[:1])
    with pytest.raises(ValueError, match="must have 12 columns"):
        make().play(costs[:, :3], membership)
    with pytest.raises(ValueError, match="oracle must return 2 numbers"):
        FollowPerturbedLeader(lambda c: c[:1], 2, noise=1.0, max_cost=1.0).decide()
