"""The PyTorch backend: its adapter, and every op under its card's name."""

from einspec.impls.adapters.torch import (  # noqa: F401  # what the judge looks for in a backend
    asarray,
    device_of,
    devices,
    dtypes,
    expanded,
    framework,
    is_array,
    known_devices,
    layouts,
    memory,
    restore,
    state,
    to_numpy,
    transforms,
)
from einspec.impls.torch.assignment import *  # noqa: F403  # a backend is the sum of its families
from einspec.impls.torch.attention import *  # noqa: F403
from einspec.impls.torch.axes import *  # noqa: F403
from einspec.impls.torch.caches import *  # noqa: F403
from einspec.impls.torch.collectives import *  # noqa: F403
from einspec.impls.torch.elements import *  # noqa: F403
from einspec.impls.torch.experts import *  # noqa: F403
from einspec.impls.torch.groups import *  # noqa: F403
from einspec.impls.torch.images import *  # noqa: F403
from einspec.impls.torch.indexing import *  # noqa: F403
from einspec.impls.torch.layers import *  # noqa: F403
from einspec.impls.torch.losses import *  # noqa: F403
from einspec.impls.torch.parallel import *  # noqa: F403
from einspec.impls.torch.pooling import *  # noqa: F403
from einspec.impls.torch.routing import *  # noqa: F403
from einspec.impls.torch.sequences import *  # noqa: F403
from einspec.impls.torch.slots import *  # noqa: F403
from einspec.impls.torch.soft import *  # noqa: F403
from einspec.impls.torch.windows import *  # noqa: F403
