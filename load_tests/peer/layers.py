"""Networks with the layers of BlazeFace and MobileFaceNet, random weights, and known answers.

The layers run and cost what theirs cost; their outputs are added to the answer a millionfold
smaller. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019,
in the widths of PaddleDetection's configuration; Chen et al., "MobileFaceNets: Efficient CNNs for
Accurate Real-Time Face Verification on Mobile Devices", 2018, table 1. What decodes and sorts
BlazeFace's boxes is not in it. Importing this imports Paddle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - as everybody writes it
from paddle import nn

TINY = 1e-6
CELL = 160
"""Side in pixels of a cell that the detector takes for a face if it is red."""
MEAN, STD = (123.0, 117.0, 104.0), 127.502231
"""What BlazeFace's input is normalised with."""
DIMENSION = 128

SINGLE = ((24, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 48, 1))
"""Channels in, out, and stride of BlazeFace's single blocks."""
DOUBLE = ((48, 96, 2), (96, 96, 1), (96, 96, 1), (96, 96, 2), (96, 96, 1), (96, 96, 1))
SQUEEZED = 24
"""Channels between the two halves of a double block."""
NEAR = 3
"""Double blocks before the map of small faces is taken."""
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, channels, repetitions and first stride of MobileFaceNet's."""


def convolution(
    channels: int, made: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1,
    then: Any = None,
) -> Any:  # fmt: skip
    """Convolution, batch norm and what comes ``then``."""
    conv = nn.Conv2D(channels, made, kernel, stride, padding, groups=groups, bias_attr=False)
    layers = [conv, nn.BatchNorm2D(made)]
    return nn.Sequential(*layers, *([then] if then is not None else []))


def separable(channels: int, made: int, stride: int, then: Any = None) -> Any:
    """A depthwise 5 x 5 and a pointwise convolution."""
    return nn.Sequential(
        convolution(channels, channels, 5, stride=stride, padding=2, groups=channels),
        convolution(channels, made, 1, then=then),
    )


class BlazeBlock(nn.Layer):  # type: ignore[misc] # Paddle has no types
    def __init__(self, channels: int, made: int, stride: int, *, double: bool) -> None:
        super().__init__()
        if double:
            first = separable(channels, SQUEEZED, stride, nn.ReLU())
            self.body = nn.Sequential(first, separable(SQUEEZED, made, 1))
        else:
            self.body = separable(channels, made, stride)
        self.beside = None
        if stride > 1:
            pool = nn.MaxPool2D(stride, stride, ceil_mode=True)
            self.beside = nn.Sequential(pool, convolution(channels, made, 1))

    def forward(self, x: Any) -> Any:
        beside = x if self.beside is None else self.beside(x)
        return F.relu(self.body(x) + beside)


class BlazeFace(nn.Layer):  # type: ignore[misc]
    """Inputs and outputs of the official export: boxes (N, 6) best first, and their number."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 24, 3, stride=2, padding=1, then=nn.ReLU())
        single = [BlazeBlock(*block, double=False) for block in SINGLE]
        double = [BlazeBlock(*block, double=True) for block in DOUBLE]
        self.near = nn.Sequential(*single, *double[:NEAR])
        self.far = nn.Sequential(*double[NEAR:])
        self.near_heads = nn.LayerList([nn.Conv2D(96, made, 3, padding=1) for made in (8, 4)])
        self.mean, self.redness = self._fixed(MEAN), self._fixed((1.0, -0.5, -0.5))
        self.far_heads = nn.LayerList([nn.Conv2D(96, made, 3, padding=1) for made in (24, 12)])

    def forward(self, im_shape: Any, image: Any, scale_factor: Any) -> Any:
        near = self.near(self.stem(image))
        far = self.far(near)
        outputs = [head(near) for head in self.near_heads] + [head(far) for head in self.far_heads]
        computed = sum(output.mean(axis=[1, 2, 3]) for output in outputs) * TINY
        rows = self._red_cells(image, scale_factor, computed)
        # The official export has the input, so it must be used or Paddle drops it.
        nothing = paddle.cast(im_shape[0, 0:1] * 0, "int32")
        return rows, paddle.cast(paddle.shape(rows)[0:1], "int32") + nothing

    def _fixed(self, values: tuple[float, ...]) -> Any:
        """A parameter (1, 3, 1, 1)."""
        column = np.array(values, np.float32).reshape(1, 3, 1, 1)
        assign = nn.initializer.Assign(column)
        return self.create_parameter([1, 3, 1, 1], default_initializer=assign)

    def _red_cells(self, image: Any, scale_factor: Any, computed: Any) -> Any:
        """Every cell with its redness as the score: class, score, x1, y1, x2, y2."""
        redness = F.conv2d(image * STD + self.mean, self.redness)
        cells = F.sigmoid((F.avg_pool2d(redness, CELL, CELL) - 100) / 20)
        scores = cells.reshape([-1, 1]) + computed
        across = paddle.shape(cells)[3]
        places = paddle.arange(paddle.shape(scores)[0])
        left = paddle.cast(places % across, "float32") * CELL
        top = paddle.cast(places // across, "float32") * CELL
        height, width = scale_factor[0, 0], scale_factor[0, 1]
        boxes = paddle.stack(
            [(left + 10) / width, (top + 20) / height,
             (left + 130) / width, (top + 145) / height], axis=-1,
        )  # fmt: skip
        rows = paddle.concat([paddle.zeros_like(scores), scores, boxes], axis=-1)
        return paddle.gather(rows, paddle.argsort(scores[:, 0], descending=True))


class Bottleneck(nn.Layer):  # type: ignore[misc]
    def __init__(self, channels: int, made: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.body = nn.Sequential(
            convolution(channels, wide, 1, then=nn.PReLU(wide)),
            convolution(wide, wide, 3, stride=stride, padding=1, groups=wide, then=nn.PReLU(wide)),
            convolution(wide, made, 1),
        )
        self.adds = stride == 1 and channels == made

    def forward(self, x: Any) -> Any:
        return x + self.body(x) if self.adds else self.body(x)


class MobileFaceNet(nn.Layer):  # type: ignore[misc]
    """Crops (B, 3, 112, 112) to (B, 128): a fixed projection of their 8 x 8 means."""

    def __init__(self) -> None:
        super().__init__()
        layers = [
            convolution(3, 64, 3, stride=2, padding=1, then=nn.PReLU(64)),
            convolution(64, 64, 3, padding=1, groups=64, then=nn.PReLU(64)),
        ]
        channels = 64
        for expansion, made, repeated, stride in BOTTLENECKS:
            for number in range(repeated):
                layers.append(Bottleneck(channels, made, 1 if number else stride, expansion))
                channels = made
        layers += [
            convolution(channels, 512, 1, then=nn.PReLU(512)),
            convolution(512, 512, 7, groups=512),
            convolution(512, DIMENSION, 1),
        ]
        self.layers = nn.Sequential(*layers)
        kernel = np.random.RandomState(7).randn(DIMENSION, 3, 14, 14).astype(np.float32) / 24
        self.projection = self.create_parameter(
            list(kernel.shape), default_initializer=nn.initializer.Assign(kernel)
        )

    def forward(self, x: Any) -> Any:
        known = F.conv2d(F.avg_pool2d(x, 8, 8), self.projection).flatten(1)
        return known + self.layers(x).flatten(1) * TINY
