"""Content: the items' features as one sparse matrix, so that what nobody rated can be recommended."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from usher_models.algorithm import Fitted
from usher_models.features import item_features
from usher_models.ratings import Items


def fit_content(items: Items) -> Fitted:
    """Rows of unit length over all groups; items without features have an empty row."""
    groups = list(item_features(items).values())
    features = sp.csr_matrix(sp.hstack(groups) if groups else (len(items), 1), dtype=np.float32)
    length = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    scale = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    features = sp.csr_matrix(sp.diags_array(scale) @ features, dtype=np.float32)
    features.sort_indices()
    arrays = {
        "pointer": features.indptr.astype(np.int64),
        "columns": features.indices.astype(np.int32),
        "values": features.data,
    }
    return Fitted({"width": features.shape[1]}, arrays).checked("content")
