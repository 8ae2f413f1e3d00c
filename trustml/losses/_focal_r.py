"""Focal-R: regression that counts rows with small errors less."""

import jax.numpy as jnp


def focal_r(predictions, targets, *, beta=0.2, gamma=1.0, squared=True, form="sigmoid"):
    r"""Focal-R loss of each row: its error times :math:`(2 \sigma(\beta |r|) - 1)^\gamma`.

    Parameters
    ----------
    predictions, targets : arrays of shape (...,)
    beta : float, default=0.2
        Per unit of the targets: rescale it when they are.
    gamma : float, default=1.0
        Not negative; 0 leaves the error as it is.
    squared : bool, default=True
        Squared or absolute error.
    form : {"sigmoid", "tanh"}, default="sigmoid"
        "tanh" takes :math:`\tanh(\beta |r|)^\gamma`, which equals "sigmoid" with twice the ``beta``.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    Y. Yang, K. Zha, Y. Chen, H. Wang and D. Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, section 4.1.

    Examples
    --------
    >>> from trustml.losses import focal_r
    >>> round(focal_r(1.0, 0.0).item(), 6)
    0.099668
    """
    if form not in ("sigmoid", "tanh"):
        raise ValueError(f"form={form!r}; expected 'sigmoid' or 'tanh'.")
    residual = jnp.asarray(predictions) - jnp.asarray(targets)
    size = jnp.abs(residual)
    # A power below one has an infinite derivative at zero, where the loss is zero with gradient zero.
    safe = jnp.where(size > 0, size, 1)
    factor = jnp.tanh(safe * beta / (2 if form == "sigmoid" else 1)) ** gamma
    return jnp.where(size > 0, (safe**2 if squared else safe) * factor, 0)
