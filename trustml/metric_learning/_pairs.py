"""What an embedding with a threshold does with pairs, galleries and new classes."""

import warnings

import numpy as np
from sklearn.utils.validation import check_is_fitted, column_or_1d

from trustml.metrics import map_at_r, threshold_at_far

_BLOCK_ROWS = 1 << 12


class PairMixin:
    """Methods of estimators whose ``transform`` gives rows of length one and that have a ``threshold_``.

    The threshold is on the cosine: pairs at or above it are accepted.
    """

    def pair_similarity(self, A, B):
        """Cosines of the embeddings of rows that belong together.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, n_features)
            One row of each pair; the other.

        Returns
        -------
        similarity : ndarray of shape (n_pairs,)
            In [-1, 1].
        """
        left, right = self.transform(A), self.transform(B)
        if len(left) != len(right):
            raise ValueError(f"A has {len(left)} rows and B has {len(right)}; expected as many, one for each pair.")
        return np.clip(np.einsum("ij,ij->i", left, right), -1, 1)

    def predict_pairs(self, A, B):
        """Whether the rows of each pair are taken for one class.

        Parameters
        ----------
        A, B : array-like of shape (n_pairs, n_features)
            One row of each pair; the other.

        Returns
        -------
        accepted : ndarray of bool of shape (n_pairs,)
            ``pair_similarity(A, B) >= threshold_``.
        """
        return self.pair_similarity(A, B) >= self._known_threshold()

    def calibrate(self, X, y, *, far=None):
        """Set the threshold on classes that were not trained on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of classes that ``fit`` has not seen.
        y : array-like of shape (n_samples,)
            Class labels, two or more.
        far : float, default=None
            False-accept rate over all pairs of these rows that is not to be exceeded; None is ``target_far``.

        Returns
        -------
        self : object
            With ``threshold_``, ``threshold_far_``, ``threshold_far_interval_`` and ``calibration_classes_``.
        """
        y = column_or_1d(y)
        Z = self.transform(X)
        known = np.intersect1d(y, self.classes_)
        if len(known):
            warnings.warn(
                f"y has {len(known)} classes that were trained on, {known[0]} for one: the false-accept rate on new "
                "classes will be higher than on these. Calibrate on others.",
                UserWarning,
                stacklevel=2,
            )
        self._set_threshold(Z, y, self.target_far if far is None else far, 0)
        return self

    def identify(self, X, X_gallery, y_gallery, *, unknown=None):
        """Labels of rows by the nearest row of a gallery, if it is near enough.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, of classes that may be in the gallery or not.
        X_gallery : array-like of shape (n_gallery, n_features)
            Rows whose labels are known, of any classes.
        y_gallery : array-like of shape (n_gallery,)
            Their labels.
        unknown : object, default=None
            The label of rows that are near to none. None is -1 if labels are numbers, else "unknown".

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The label of the gallery's nearest row if their cosine is at least ``threshold_``, else ``unknown``.
        """
        threshold = self._known_threshold()
        gallery, y_gallery = self.transform(X_gallery), column_or_1d(y_gallery)
        if len(gallery) != len(y_gallery):
            raise ValueError(f"y_gallery has {len(y_gallery)} labels; expected {len(gallery)}, as X_gallery has rows.")
        if unknown is None:
            unknown = -1 if y_gallery.dtype.kind in "iuf" else "unknown"
        if np.isin(unknown, y_gallery):
            raise ValueError(f"unknown={unknown!r} is a label of y_gallery; expected one that is none.")
        Z = self.transform(X)
        labels = np.empty(len(Z), np.result_type(y_gallery, np.asarray(unknown)))
        for start in range(0, len(Z), _BLOCK_ROWS):
            cosines = Z[start : start + _BLOCK_ROWS] @ gallery.T
            near = np.clip(cosines.max(axis=1), -1, 1) >= threshold
            labels[start : start + _BLOCK_ROWS] = np.where(near, y_gallery[cosines.argmax(axis=1)], unknown)
        return labels

    def score(self, X, y):
        """Mean average precision at R of the embeddings, each row's query being the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, best of classes that were not trained on.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        score : float
            See :func:`trustml.metrics.map_at_r`.
        """
        return map_at_r(self.transform(X), y)

    def _known_threshold(self):
        check_is_fitted(self)
        if self.threshold_ is None:
            raise ValueError(
                f"{type(self).__name__} has no threshold: fit held out no classes for it. Call calibrate(X, y) with "
                "rows of classes that were not trained on."
            )
        return self.threshold_

    def _set_threshold(self, Z, y, far, random_state):
        found = threshold_at_far(Z, y, far=far, random_state=random_state)
        self.threshold_ = 1 - found.threshold
        self.threshold_far_ = found.far
        self.threshold_far_interval_ = np.array(found.far_interval)
        self.calibration_classes_ = np.unique(y)

    def _set_no_threshold(self):
        self.threshold_ = self.threshold_far_ = self.threshold_far_interval_ = self.calibration_classes_ = None
