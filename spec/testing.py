"""For tests of one's own code: :func:`check` a function, :func:`assert_matches` a result, draw legal :func:`calls`.

The one module of the spec that leads to the judge, as it is the name under which tests find it; ``import einspec`` does not
import it.
"""

from einspec.conformance.testing.checking import Summary, check
from einspec.conformance.testing.drawing import LegalCall, calls
from einspec.conformance.testing.matching import assert_matches

__all__ = ["LegalCall", "Summary", "assert_matches", "calls", "check"]
