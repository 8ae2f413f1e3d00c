"""The border with sklearn.callback: what the training loop tells of its epochs."""

from collections.abc import Callable
from typing import Protocol


class Hooks(Protocol):
    """What :func:`train` tells of each epoch."""

    def begin(self) -> None:
        """An epoch begins."""

    def end(self, result: Callable) -> bool:
        """An epoch has ended with what ``result()`` returns. True stops the training."""


class EpochTasks:
    """Reports epochs to scikit-learn's callbacks. The device is then called once for each epoch.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    context : sklearn.callback.CallbackContext
        Of its ``fit``, made with ``max_subtasks=max_iter``.
    fitted_attributes : callable
        From a :class:`TrainResult` to the fitted attributes of the estimator, a dict by name.
    **data
        ``X``, ``y`` and ``metadata``, which the callbacks may ask for.
    """

    def __init__(self, estimator, context, fitted_attributes: Callable, **data):
        self.estimator, self.context = estimator, context
        self.fitted_attributes, self.data = fitted_attributes, data

    def begin(self):
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, result):
        return self.task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_attributes(result()),
            **self.data,
        )
