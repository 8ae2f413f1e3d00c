"""Exact Shapley values of the K-nearest-neighbour utilities, one validation row at a time.

Every function takes training rows in the order of their distance to the validation row, nearest first, along
the last axis, and returns their values in that order. The functions are pure and follow the array-API
namespace of their argument: they run on NumPy arrays, and under ``jax.jit`` on JAX arrays.

``first`` and ``last`` hold for each position the ends of its run of tied rows (itself, where nothing ties).
With them, the result is the exact mean over all orders of the tied rows. The functions that take them cost
more, and equal the plain ones where no row is tied.
"""

import math


def _steps(xp, n, k):
    """min(k, i) / (k i) at the positions i = 1..n: the chance of joining the k nearest, over k."""
    position = xp.arange(1, n + 1, dtype=float)
    return position, xp.minimum(k, position) / (k * position)


def _sum_from(xp, terms):
    """Sums over positions i..n."""
    return xp.flip(xp.cumsum(xp.flip(terms, axis=-1), axis=-1), axis=-1)


def _sum_before(xp, terms):
    """Sums over positions 1..i-1 for i = 1..n+1: one entry more than there are terms."""
    zero = xp.zeros((*terms.shape[:-1], 1), dtype=terms.dtype)
    return xp.concat([zero, xp.cumsum(terms, axis=-1)], axis=-1)


def _run_sums(xp, terms, first, last):
    """The sum of ``terms`` over the run of each position."""
    before = _sum_before(xp, terms)
    if before.ndim == 1:
        return before[last + 1] - before[first]
    return xp.take_along_axis(before, last + 1, axis=-1) - xp.take_along_axis(before, first, axis=-1)


def hard_values(hit, k):
    """Values for the utility v(S) = (hits among the k nearest rows of S) / k, with v(empty) = 0.

    Parameters
    ----------
    hit : array of shape (..., n), float
        One where the training row has the label of the validation row.
    k : int
        Number of neighbours; may exceed n.

    References
    ----------
    Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", PVLDB 2019,
    whose first value, 1/n, holds for k <= n only.
    """
    xp = hit.__array_namespace__()
    _, step = _steps(xp, hit.shape[-1], k)
    return _sum_from(xp, xp.concat([hit[..., :-1] - hit[..., 1:], hit[..., -1:]], axis=-1) * step)


def hard_values_tied(hit, first, last, k):
    """:func:`hard_values` averaged over the orders of tied rows.

    The recursion is linear in the hits: position i earns hit_i step_i plus the hits behind it times the
    differences of step. In a run, the row itself stands at each position equally often and the others,
    which are exchangeable, around it.
    """
    xp = hit.__array_namespace__()
    _, step = _steps(xp, hit.shape[-1], k)
    size = last - first + 1
    mean_step = _run_sums(xp, step, first, last) / size
    hits = _run_sums(xp, hit, first, last)
    fall = xp.concat([step[:1], step[1:] - step[:-1]])
    behind = _sum_from(xp, hits / size * fall)
    behind = xp.concat([behind[..., 1:], xp.zeros_like(behind[..., :1])], axis=-1)
    others = (hits - hit) / xp.maximum(size - 1, 1)
    return hit * mean_step + others * (step[last] - mean_step) + xp.take_along_axis(behind, last, axis=-1)


def soft_from_hard(hard, hit, k, n_classes):
    """Values for the utility v(S) = mean hit of the min(k, |S|) nearest rows of S, with v(empty) = 1 /
    n_classes.

    ``hard`` are the values of the hard utility with the same hits and min(k, n) neighbours. The recursion of
    the soft-label utility has the same form with every step larger by one constant, so that the two differ by
    a multiple of the centred hit.

    References
    ----------
    Wang and Jia, "A note on 'Efficient task-specific data valuation for nearest neighbor algorithms'", 2023.
    """
    xp = hit.__array_namespace__()
    n = hit.shape[-1]
    harmonic = math.fsum(1 / j for j in range(2, min(k, n) + 1))
    centred = hit - xp.mean(hit, axis=-1, keepdims=True)
    return hard + harmonic / max(n - 1, 1) * centred - 1 / (n_classes * n)


def _regression_all_vote(target, truth, k):
    """At k >= n every row of S votes: the utility is a quadratic form, whose values are known outright."""
    xp = target.__array_namespace__()
    vote = target / k
    return vote * (2 * truth - xp.sum(vote, axis=-1, keepdims=True))


def _regression_weights(xp, n, k):
    """What multiplies the targets nearer than position i, and those behind position i + 1, in the recursion."""
    position, step = _steps(xp, n, k)
    nearer = step * (xp.minimum(k, position) - 1) / xp.maximum(position - 1, 1) / k
    behind = xp.minimum(k, position - 1) * xp.minimum(k - 1, position - 2)
    behind = xp.where(position > 2, behind / xp.maximum((position - 1) * (position - 2), 1), 0) / k**2
    return step, nearer, behind


def _regression_last(target_mean, square_mean, total, truth, n, k):
    """The value of the farthest row."""
    linear = (k - 1) / (n * k) * (2 * truth - total / max(n - 1, 1)) + 2 * truth / (n * k)
    square = -(k - 1) / (n * k) * (1 / k - 1 / max(n - 1, 1)) - 1 / (n * k**2)
    return linear * target_mean + square * square_mean


def regression_values(target, truth, k):
    """Values for the utility v(S) = -((sum of the targets of the k nearest rows of S) / k - truth)^2.

    Parameters
    ----------
    target : array of shape (..., n), float
        Targets of the training rows.
    truth : array of shape (..., 1), float
        Target of the validation row.
    k : int
        Number of neighbours; may exceed n.

    Notes
    -----
    v(empty) = -truth^2, the formula at no rows. Jia et al. subtract truth^2 / n from every value, for
    v(empty) = 0.

    References
    ----------
    Jia et al. (2019), whose recursion holds for k <= n.
    """
    xp = target.__array_namespace__()
    n = target.shape[-1]
    if k >= n:
        return _regression_all_vote(target, truth, k)
    step, nearer, behind = _regression_weights(xp, n, k)
    before = _sum_before(xp, target)[..., : n - 1]
    after = _sum_from(xp, target * behind)[..., 2:]
    after = xp.concat([after, xp.zeros_like(target[..., :1])], axis=-1)
    own, following = target[..., :-1], target[..., 1:]
    bracket = nearer[:-1] * before + step[:-1] / k * (own + following) + after - 2 * truth * step[:-1]
    total = xp.sum(target, axis=-1, keepdims=True)
    farthest = _regression_last(target[..., -1:], target[..., -1:] ** 2, total, truth, n, k)
    return _sum_from(xp, xp.concat([(following - own) * bracket, farthest], axis=-1))


def regression_values_tied(target, truth, first, last, k):
    """:func:`regression_values` averaged over the orders of tied rows.

    The recursion is quadratic in the targets. In expectation, the steps inside a run cancel except the one
    that leaves the row itself, and the step from a run to the next sees means of targets, of their squares,
    and of products of two different rows of one run.
    """
    xp = target.__array_namespace__()
    n = target.shape[-1]
    if k >= n:
        return _regression_all_vote(target, truth, k)
    step, nearer, behind = _regression_weights(xp, n, k)
    position = xp.arange(n, dtype=float)
    size = last - first + 1
    total = xp.sum(target, axis=-1, keepdims=True)

    def run(terms):
        return _run_sums(xp, terms, first, last)

    def at(array, index):
        return xp.take_along_axis(array, index, axis=-1)

    # Means over each run, the covariance of two different rows of it, and sums of expected targets outside
    # it.
    mean, square = run(target) / size, run(target**2) / size
    covariance = (mean**2 - square) / xp.maximum(size - 1, 1)
    before = at(_sum_before(xp, target), first)
    after = xp.concat([_sum_from(xp, mean * behind), xp.zeros_like(total)], axis=-1)

    # The step from the last row of a run to the first of the next. Other positions hold terms that are not
    # used.
    following = last + 1 < n
    nxt = xp.minimum(last + 1, n - 1)
    second = xp.minimum(nxt + 1, n)
    mean_next = at(mean, nxt)
    last_of_next = at(last, nxt)
    behind_before = _sum_before(xp, behind)
    bracket = nearer[last] * (before + (size - 1) * mean) + at(after, second) - 2 * truth * step[last]
    jump = (
        step[last] / k * (at(square, nxt) - square)
        + (mean_next - mean) * bracket
        - nearer[last] * (size - 1) * covariance
        + at(covariance, nxt) * (behind_before[last_of_next + 1] - behind_before[second])
    )
    farthest = _regression_last(mean[..., -1:], square[..., -1:], total, truth, n, k)
    jumps = xp.where((xp.arange(n) == last) & following, jump, 0)
    common = at(_sum_from(xp, jumps), first) + farthest

    # The step that leaves the row itself, at each position of the run but the last.
    rest = xp.maximum(size - 1, 1)
    others = (size * mean - target) / rest
    others_square = (size * square - target**2) / rest
    pair = ((size * mean - target) ** 2 - (size * square - target**2)) / xp.maximum((size - 1) * (size - 2), 1)
    steps_left = run(step) - step[last]
    nearer_left = run(nearer) - nearer[last]
    nearer_in_run = run(nearer * position) - nearer[last] * position[last] - first * nearer_left
    behind_in_run = run(behind * (position - 1)) - first * run(behind)
    # The sum over l >= first + 2 of behind_l (l - first - 1), from the sum over the whole run.
    behind_in_run = behind_in_run + behind[first]
    leave = (
        steps_left / k * (others_square - target**2)
        + (others - target)
        * (nearer_left * before + (size - 1) * xp.take_along_axis(after, last + 1, axis=-1) - 2 * truth * steps_left)
        + (pair - target * others) * (nearer_in_run + behind_in_run)
    )
    return common + xp.where(size > 1, leave / size, 0)
