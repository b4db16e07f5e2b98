"""The stand-ins of ``official_forms`` as Paddle layers. Importing this imports Paddle."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - as everybody writes it
from paddle import nn

from tests.models.official_forms import COLOURS, TOLERANCE, DetectorForm, projection


class Extractor(nn.Layer):  # type: ignore[misc] # Paddle has no types
    def __init__(self, dimension: int) -> None:
        super().__init__()
        kernel = projection(dimension).T.reshape(dimension, 3, 14, 14)
        # A convolution: Paddle 3.2.2 does not export a matmul as .pdmodel.
        self.projection = self.create_parameter(
            list(kernel.shape), default_initializer=nn.initializer.Assign(kernel)
        )

    def forward(self, x: Any) -> Any:
        return F.conv2d(F.avg_pool2d(x, 8, 8), self.projection).flatten(1)


class _Detector(nn.Layer):  # type: ignore[misc]
    def __init__(self, form: DetectorForm) -> None:
        super().__init__()
        scale, mean, std = form.scale, np.array(form.mean), np.array(form.std)
        targets = (COLOURS * scale - mean) / std
        # A parameter, so that there is a file of parameters.
        self.targets = self.create_parameter(
            [3, 3], default_initializer=nn.initializer.Assign(targets.astype(np.float32))
        )
        self.tolerance = [float(value) for value in TOLERANCE * scale / std]
        self.back = [(float(s / scale / 255), float(m / scale / 255)) for s, m in zip(std, mean)]  # noqa: B905

    def find(self, image: Any, height: Any, width: Any) -> Any:
        """Rows (N, 6) and counts (B,); ``height``, ``width``: (B, 1), pixels of the original."""
        found, scores, boxes = [], [], []
        for colour in range(3):
            mask = paddle.ones_like(image[:, 0])
            for channel in range(3):
                distance = paddle.abs(image[:, channel] - self.targets[colour, channel])
                mask = mask * paddle.cast(distance < self.tolerance[channel], "float32")
            left, right = _span(mask.max(axis=1))
            top, bottom = _span(mask.max(axis=2))
            factor, offset = self.back[colour]
            scores.append(image[:, colour].max(axis=[1, 2]) * factor + offset)
            found.append(mask.max(axis=[1, 2]))
            boxes.append(
                paddle.stack([left * width[:, 0], top * height[:, 0],
                              right * width[:, 0], bottom * height[:, 0]], axis=-1)
            )  # fmt: skip
        here = paddle.stack(found, axis=1)
        score = paddle.stack(scores, axis=1).unsqueeze(-1)
        rows = paddle.concat(
            [paddle.zeros_like(score), score, paddle.stack(boxes, axis=1)], axis=-1
        )
        kept = paddle.nonzero(here.reshape([-1]) > 0.5)[:, 0]
        counts = paddle.cast(here.sum(axis=1), "int32")
        return paddle.gather(rows.reshape([-1, 6]), kept), counts


class _FaceForm(_Detector):
    def forward(self, im_shape: Any, image: Any, scale_factor: Any) -> Any:
        size = im_shape / scale_factor
        return self.find(image, size[:, 0:1], size[:, 1:2])


class _OtherForm(_Detector):
    def __init__(self, form: DetectorForm) -> None:
        super().__init__(form)
        assert form.size is not None
        self.height, self.width = form.size

    def forward(self, image: Any, scale_factor: Any) -> Any:
        return self.find(image, self.height / scale_factor[:, 0:1],
                         self.width / scale_factor[:, 1:2])  # fmt: skip


def detector(form: DetectorForm) -> Any:
    return _FaceForm(form) if "im_shape" in form.inputs else _OtherForm(form)


def _span(mask: Any) -> tuple[Any, Any]:
    """First and last place in (B, L) that is not 0, the last one counted to its end, as shares."""
    length = paddle.cast(paddle.shape(mask)[1], "float32")
    places = paddle.cast(paddle.arange(paddle.shape(mask)[1]), "float32")
    first = length - ((length - places) * mask).max(axis=1)
    return first / length, ((places + 1) * mask).max(axis=1) / length
