"""Run as a process by ``paddle_networks``: exports the network and its forms in fp16.

Convolution, batch norm, PReLU, a depthwise block, a residual and a fully connected layer: what
MobileFaceNet and iResNet are made of. On a CPU Paddle exports no ``.json`` that computes in fp16;
those two forms are translated from the ``.pdmodel``, by Paddle.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import paddle
from paddle import inference, nn
from paddle.framework import use_pir_api
from paddle.nn import functional as F  # noqa: N812

LOW = {
    "conv2d", "depthwise_conv2d", "prelu", "elementwise_add", "matmul_v2", "pool2d",
    "flatten_contiguous_range", "batch_norm",
}  # fmt: skip


class Block(nn.Layer):  # type: ignore[misc]
    def __init__(self, channels: int, made: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2D(channels, made, 3, stride, 1, groups=groups, bias_attr=False)
        self.norm = nn.BatchNorm2D(made)
        self.act = nn.PReLU(made)

    def forward(self, x: Any) -> Any:
        return self.act(self.norm(self.conv(x)))


class Net(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = Block(3, 16, 2)
        self.depthwise = Block(16, 16, 1, groups=16)
        self.second = Block(16, 32, 2)
        self.point = nn.Conv2D(32, 32, 1)
        self.pool = nn.AdaptiveAvgPool2D(4)
        self.linear = nn.Linear(512, 64)
        self.norm = nn.BatchNorm1D(64)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        x = self.second(x + self.depthwise(x))
        return self.norm(self.linear(self.pool(self.point(x)).flatten(1)))


class CastNet(nn.Layer):  # type: ignore[misc]
    """The same, its parameters stored in fp16 and cast at every use."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net.to(dtype="float16")

    def forward(self, x: Any) -> Any:
        net = self.net
        x = self._block(net.first, x)
        x = self._block(net.second, x + self._block(net.depthwise, x))
        x = F.conv2d(x, net.point.weight.astype("float32"), net.point.bias.astype("float32"))
        x = net.pool(x).flatten(1)
        x = F.linear(x, net.linear.weight.astype("float32"), net.linear.bias.astype("float32"))
        return self._normalised(net.norm, x)

    def _block(self, block: Block, x: Any) -> Any:
        conv = block.conv
        weight = conv.weight.astype("float32")
        x = F.conv2d(x, weight, None, conv._stride, 1, 1, conv._groups)
        return F.prelu(self._normalised(block.norm, x), block.act._weight.astype("float32"))

    def _normalised(self, norm: Any, x: Any) -> Any:
        kept = (norm._mean, norm._variance, norm.weight, norm.bias)
        return F.batch_norm(x, *[tensor.astype("float32") for tensor in kept])


class HalfNet(nn.Layer):  # type: ignore[misc]
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net.to(dtype="float16")

    def forward(self, x: Any) -> Any:
        return self.net(x.astype("float16")).astype("float32")


class Multiples(nn.Layer):  # type: ignore[misc]
    """Twelve outputs: x times 0, 1, ..., 11."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))

    def forward(self, x: Any) -> Any:
        return [x * self.one * float(factor) for factor in range(12)]


def network() -> Net:
    paddle.seed(3)
    net = Net()
    for _ in range(3):  # batch norms get statistics of their own
        net(paddle.randn([4, 3, 112, 112]) * 2)
    return net


def save(net: Any, directory: Path) -> None:
    net.eval()
    spec = paddle.static.InputSpec([None, 3, 112, 112], "float32", name="x")
    static = paddle.jit.to_static(net, input_spec=[spec], full_graph=True)
    paddle.jit.save(static, str(directory / "inference"))


def mix(source: Path, target: Path) -> None:
    target.mkdir()
    inference.convert_to_mixed_precision(
        str(source / "inference.pdmodel"),
        str(source / "inference.pdiparams"),
        str(target / "inference.pdmodel"),
        str(target / "inference.pdiparams"),
        inference.PrecisionType.Half,
        inference.PlaceType.GPU,
        white_list=LOW,  # it would ask a GPU's kernels, and there are none
    )


def translate(source: Path, target: Path) -> None:
    target.mkdir()
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, *_ = paddle.static.load_inference_model(str(source / "inference"), executor)
    translated = paddle.base.libpaddle.pir.translate_to_pir(program.desc)
    file = str(target / "inference.json")
    paddle.base.core.serialize_pir_program(translated, file, True, False, True)
    shutil.copy(source / "inference.pdiparams", target)
    paddle.disable_static()


def main(folder: Path) -> None:
    if use_pir_api():
        save(network(), folder / "json32")
        save(CastNet(network()), folder / "json_cast")
        save(Multiples(), folder / "json_many")
        return
    save(network(), folder / "pdmodel32")
    save(CastNet(network()), folder / "pdmodel_cast")
    save(HalfNet(network()), folder / "pdmodel_half")
    save(Multiples(), folder / "pdmodel_many")
    mix(folder / "pdmodel32", folder / "pdmodel_mixed")
    for form in ("half", "mixed"):
        translate(folder / f"pdmodel_{form}", folder / f"json_{form}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
