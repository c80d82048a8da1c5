"""Maps of the global part: what a decoupled flow's couplings are told, position by position.

The couplings of Ma et al. 2021 (arXiv 2004.11820, section 3.3) get the same vector everywhere, so
that z says of what kind an image is and hardly where anything stands. A small decoder of z, as in a
variational autoencoder, tells every level a map of its own size.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from latentlab.backends.nn.flow_layers import unsqueeze


class GlobalMaps(nn.Module):
    """Maps of z, one a level.

    Args:
        dim: D of z.
        image_size: height and width of the image.
        widths: channels of the maps, the finest first; level i has side ``image_size / 2^(i+1)``.
    """

    def __init__(self, dim: int, image_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self._side = image_size >> len(widths)
        coarse_first = tuple(reversed(widths))
        self.enter = nn.Linear(dim, coarse_first[0] * self._side**2)
        self.inner = nn.Conv2d(coarse_first[0], coarse_first[0], 3, padding=1)
        self.up = nn.ModuleList(
            nn.Conv2d(source, 4 * target, 3, padding=1)
            for source, target in itertools.pairwise(coarse_first)
        )

    def forward(self, z: Tensor) -> list[Tensor]:
        """Return the maps ``(B, C, H, W)`` of z ``(B, D)``, the finest first."""
        x = functional.elu(self.enter(z)).unflatten(1, (-1, self._side, self._side))
        x = x + functional.elu(self.inner(x))
        found = [x]
        for layer in self.up:
            x = functional.elu(unsqueeze(layer(x)))
            found.append(x)
        return found[::-1]
