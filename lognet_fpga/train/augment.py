"""Frames as training varies them."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def augment(frames: torch.Tensor, flip: bool, shift: int, rng: torch.Generator) -> torch.Tensor:
    """Frames, (n, channels, h, w) uint8, mirrored at random and moved by up to `shift` pixels, with the border
    reflected; one draw a frame; float32."""
    x, (n, channels, height, width) = frames, frames.shape
    if flip:
        mirrored = torch.rand(n, generator=rng) < 0.5
        x = torch.where(mirrored.view(n, 1, 1, 1), x.flip(3), x)
    if not shift:
        return x.float()
    padded = F.pad(x.float(), (shift,) * 4, mode="reflect")
    dy, dx = torch.randint(0, 2 * shift + 1, (2, n), generator=rng)
    rows = (dy.view(n, 1) + torch.arange(height)).view(n, 1, height, 1)
    cols = (dx.view(n, 1) + torch.arange(width)).view(n, 1, 1, width)
    return padded[torch.arange(n).view(n, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1), rows, cols]
