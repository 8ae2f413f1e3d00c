"""ConR: a contrastive penalty on rows that are predicted alike although their targets differ."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from trustml.losses._distances import cosine_similarity, distances

# Stands for the logarithm of zero: finite, so that a row without any pair has a finite gradient.
_LOG_ZERO = -1e30


def conr_loss(
    features,
    targets,
    predictions,
    *,
    window,
    push=0.0,
    temperature=0.2,
    weights=None,
    where=None,
    push_form="exp",
    outer_weight=True,
    denominator="paper",
    block_size=None,
):
    r"""Contrastive regularisation (ConR) of each row; the loss of a batch is the mean.

    Rows are *positives* of a row j, its anchor, if their targets are within ``window`` of its own, and *negatives* if
    their targets are not but the current predictions are. With the cosine similarity :math:`s_{jk}` of features over
    the temperature,

    .. math::

        L_j = \frac{w_j}{|K_j^+|} \sum_{i \in K_j^+} -\log \frac{e^{s_{ji}}}
        {\sum_{p \in K_j^+} e^{s_{jp}} + \sum_{q \in K_j^-} S_{jq} e^{s_{jq}}},
        \qquad S_{jq} = w_j \, e^{\eta |y_j - y_q|},

    and 0 for a row without positives or without negatives.

    Parameters
    ----------
    features : array of shape (n, n_features)
        What the last layer sees. A row of zeros has no direction: similarity 0, and no gradient.
    targets : array of shape (n,) or (n, n_outputs)
        Distances of several outputs are Euclidean.
    predictions : array of the shape of ``targets``
        They choose the negatives, and receive no gradient.
    window : float
        In units of the targets; a distance equal to it, up to rounding, is inside.
    push : float, default=0.0
        :math:`\eta`, per unit of the targets: how much the more a negative counts the farther its target is.
    temperature : float, default=0.2
        Positive. float32 is safe at 0.005, whose logits would overflow an exponential.
    weights : array of shape (n,), default=None
        :math:`w_j`, how rare the target of each row is; not negative. None is one for each.
    where : bool array of shape (n,), default=None
        Rows that exist; the others have loss 0 and are nobody's pair.
    push_form : {"exp", "product"}, default="exp"
        "product" is :math:`S_{jq} = \eta w_j |y_j - y_q|`.
    outer_weight : bool, default=True
        Whether :math:`w_j` also multiplies the loss of its row.
    denominator : {"paper", "reference"}, default="paper"
        "reference" adds one for every row that is no positive, as the authors' published code does: not negligible
        from a temperature of about 0.2 on.
    block_size : int, default=None
        Take so many anchors at a time, and compute them again for the gradient: memory ``n * block_size`` in place
        of ``n * n``. Faster too from some 2,000 rows on.

    Returns
    -------
    loss : array of shape (n,)
        Between :math:`w_j \log |K_j^+|` and
        :math:`w_j (2 / \mathrm{temperature} + \log(|K_j^+| + \sum_q S_{jq}))`.

    Notes
    -----
    Time is quadratic in the number of rows. Two augmented views of each row guarantee a positive.

    References
    ----------
    M. Keramati, L. Meng and R. D. Evans, "ConR: Contrastive Regularizer for Deep Imbalanced Regression", ICLR 2024.

    Examples
    --------
    Rows of the same features and the same predictions, but targets 0 and 5:

    >>> import jax.numpy as jnp
    >>> from trustml.losses import conr_loss
    >>> features, targets = jnp.ones((4, 3)), jnp.array([0.0, 0.0, 5.0, 5.0])
    >>> loss = conr_loss(features, targets, jnp.full(4, 2.0), window=1.0, push=0.01)
    >>> [round(row.item(), 4) for row in loss]
    [1.1322, 1.1322, 1.1322, 1.1322]
    """
    if push_form not in ("exp", "product"):
        raise ValueError(f"push_form={push_form!r}; expected 'exp' or 'product'.")
    if denominator not in ("paper", "reference"):
        raise ValueError(f"denominator={denominator!r}; expected 'paper' or 'reference'.")
    features, targets, predictions = jnp.asarray(features), jnp.asarray(targets), jnp.asarray(predictions)
    n_rows = len(features)
    rows = {
        "features": features,
        "targets": lax.stop_gradient(targets),
        "predictions": lax.stop_gradient(predictions),
        "weights": jnp.ones(n_rows, features.dtype) if weights is None else jnp.asarray(weights, features.dtype),
        "exists": jnp.ones(n_rows, bool) if where is None else jnp.asarray(where, bool),
        "number": jnp.arange(n_rows),
    }
    numbers = {"window": window, "push": push, "temperature": temperature}
    losses = partial(
        _losses_of_anchors,
        others=rows,
        numbers=numbers,
        push_form=push_form,
        outer_weight=outer_weight,
        denominator=denominator,
    )
    if block_size is None or block_size >= n_rows:
        return losses(rows)
    n_blocks = -(-n_rows // block_size)
    spare = n_blocks * block_size - n_rows

    def blocks(a):
        return jnp.pad(a, [(0, spare), *[(0, 0)] * (a.ndim - 1)]).reshape(n_blocks, block_size, *a.shape[1:])

    return lax.map(jax.checkpoint(losses), jax.tree.map(blocks, rows)).reshape(-1)[:n_rows]


def conr_pairs(targets, predictions, *, window, where=None):
    """Which rows are positives, and which negatives, of which.

    Parameters
    ----------
    targets, predictions, window, where
        As in :func:`conr_loss`.

    Returns
    -------
    positives, negatives : bool arrays of shape (n, n)
        Entry (j, k) says whether k is a positive, a negative, of the anchor j.
    """
    targets, predictions = jnp.asarray(targets), jnp.asarray(predictions)
    rows = {
        "targets": targets,
        "predictions": predictions,
        "exists": jnp.ones(len(targets), bool) if where is None else jnp.asarray(where, bool),
        "number": jnp.arange(len(targets)),
    }
    return _pairs(rows, rows, window, distances(targets, targets))


def _pairs(anchors, others, window, gaps):
    # Equal gaps of labels such as 0.1 * k differ by rounding.
    rounding = 4 * jnp.finfo(gaps.dtype).eps * jnp.max(jnp.abs(others["targets"]), initial=0)
    window = window * (1 + 1e-6) + rounding
    pair = anchors["exists"][:, None] & others["exists"] & (anchors["number"][:, None] != others["number"])
    near = gaps <= window
    alike = distances(anchors["predictions"], others["predictions"]) <= window
    return pair & near, pair & ~near & alike


def _losses_of_anchors(anchors, *, others, numbers, push_form, outer_weight, denominator):
    gaps = distances(anchors["targets"], others["targets"])
    positives, negatives = _pairs(anchors, others, numbers["window"], gaps)
    similarity = cosine_similarity(anchors["features"], others["features"]) / numbers["temperature"]
    weights = anchors["weights"][:, None]
    if push_form == "exp":
        factor, exponent = weights, numbers["push"] * gaps
    else:
        factor, exponent = numbers["push"] * weights * gaps, 0.0
    pushed = negatives & (factor > 0)
    log_push = jnp.log(jnp.where(pushed, factor, 1)) + exponent
    logits = jnp.where(positives, similarity, jnp.where(pushed, similarity + log_push, _LOG_ZERO))
    total = jax.nn.logsumexp(logits, axis=1)
    n_positives = jnp.sum(positives, axis=1)
    if denominator == "reference":
        n_rows = jnp.sum(others["exists"])
        total = jnp.logaddexp(total, jnp.log(jnp.maximum(n_rows - n_positives, 1).astype(total.dtype)))
    mean = jnp.sum(jnp.where(positives, similarity, 0), axis=1) / jnp.maximum(n_positives, 1)
    active = (n_positives > 0) & jnp.any(negatives, axis=1)
    loss = jnp.where(active, total - mean, 0)
    return anchors["weights"] * loss if outer_weight else loss
