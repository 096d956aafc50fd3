"""Which places of a list a person looks at: the position-based model of clicks, P(click) = P(look at rank) · P(like).

Craswell et al., "An Experimental Comparison of Click Position-Bias Models" (WSDM 2008); Chuklin, Markov and de Rijke,
"Click Models for Web Search" (2015), 3.3. The decay 1/rank^η is that of Joachims, Swaminathan and Schnabel (WSDM 2017).
"""

from __future__ import annotations

import numpy as np

from demo.simulated_users.history import Floats

#: η: 0 reads every place, 1 halves at the second. People browse films further down than search results.
ETA = 0.5


def examination(places: int) -> Floats:
    """P(look) of the ranks 1 to `places`, (places,): one at the top, then less."""
    result: Floats = np.arange(1, places + 1, dtype=np.float64) ** -ETA
    return result
