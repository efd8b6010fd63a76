# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that can train with the rounding of integer arithmetic in the loop."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from amrq.errors import AmrqError

__all__ = [
    "ActivationQuantiser",
    "QuantisedConv1d",
    "QuantisedConvolution",
    "QuantisedLayer",
    "QuantisedLinear",
    "integer_ready",
    "power_of_two_scale",
    "quantise",
]

_LOWEST, _HIGHEST = -128, 127
_LARGEST_BIAS = 2**21
"""In units of the accumulator: its sums then stay below 2^24, which single precision holds exactly."""
_LIMIT_SHARE = 0.9999
"""The activations' limit is met by all but one in 10,000: one outlier would cost all others their resolution."""


def power_of_two_scale(values: torch.Tensor, limit: torch.Tensor, levels: int) -> torch.Tensor:
    """Return the power of two by whose multiples each row is represented with the least squared error.

    Steps that are powers of two turn every rescaling in hardware into a shift, and make all arithmetic exact in
    floating point, so that PyTorch, ONNX Runtime and hardware agree to the bit.

    Args:
        values: float32 [rows, n].
        limit: float32 [rows], the largest magnitudes that matter, above 0.
        levels: largest integer that a value becomes; what lies beyond is clipped.

    Returns:
        float32 [rows].

    >>> power_of_two_scale(torch.tensor([[0.3, -0.9]]), torch.tensor([1.0]), levels=127).tolist()
    [0.0078125]
    """
    # Either nothing is clipped, or the range is halved once or twice: that costs the largest values and gives all
    # others a bit or two.
    wide = torch.exp2(torch.ceil(torch.log2(limit / levels)))
    best, least = wide, torch.full_like(wide, torch.inf)
    for scale in (wide, wide / 2, wide / 4):
        rounded = (values / scale[:, None]).round().clamp(-levels, levels) * scale[:, None]
        error = (rounded - values).square().sum(dim=1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


class _RoundWeights(torch.autograd.Function):
    """`torch.fake_quantize_per_channel_affine` along the first axis with zero points of 0, in a fifth of its time.

    Gradients pass where nothing was clipped. The results are the same to the bit, since steps are powers of two.
    """

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, scale: torch.Tensor, levels: int) -> torch.Tensor:
        """Return the weights on multiples of their steps, at most `levels` of them."""
        steps = scale.reshape(-1, *[1] * (weight.ndim - 1))
        rounded = (weight / steps).round_()
        ctx.save_for_backward(rounded.abs() <= levels)
        return rounded.clamp_(-levels, levels).mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Pass the gradient where nothing was clipped."""
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


class ActivationQuantiser(nn.Module):
    """Rounds activations to 8 bits with straight-through gradients, once calibrated; until then passes them on.

    Values that may be negative use the symmetric range -128..127 with zero point 0; those after a ReLU use all
    256 steps from zero point -128 on, in which form ONNX Runtime folds the ReLU into the integer kernel before it.

    Args:
        signed: whether values below zero occur.
    """

    scale: torch.Tensor

    def __init__(self, signed: bool) -> None:
        super().__init__()
        self.zero_point = 0 if signed else _LOWEST
        self.register_buffer("scale", torch.zeros(()))
        self.step = 0.0
        """The step, where what comes is whole multiples of it; 0: the calibration chooses one."""
        self._seen: list[torch.Tensor] | None = None
        self._on = False  # a plain flag, since a trace for the export cannot branch on a tensor

    @property
    def active(self) -> bool:
        """Whether it has been calibrated."""
        return bool(self.scale > 0)

    def observe(self, on: bool) -> None:
        """Begin to collect values, or end it and set the scale from them.

        Raises:
            AmrqError: nothing but zeros was seen.
        """
        if on:
            self._seen = []
            return
        values = torch.cat(self._seen or [torch.zeros(1)])
        self._seen = None
        if self.step:
            self.scale.fill_(self.step)
            return
        # torch.quantile sorts all values, which takes ten times as long, and takes at most 16 M of them.
        largest = float(np.quantile(values.numpy(), _LIMIT_SHARE))
        if not largest > 0:
            raise AmrqError("a layer of the network has stopped learning: its input is always zero.")
        limit = torch.tensor([largest])
        self.scale.copy_(power_of_two_scale(values[None], limit, _HIGHEST - self.zero_point)[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x`, rounded if calibrated; any shape."""
        if self._seen is not None:
            # A fixed stride keeps a fair sample of each batch.
            flat = x.detach().abs().flatten()
            self._seen.append(flat[:: max(1, flat.numel() // 100_000)])
        if not self._on:
            return x
        return torch.fake_quantize_per_tensor_affine(x, float(self.scale), self.zero_point, _LOWEST, _HIGHEST)

    def switch(self) -> None:
        """Follow the scale: round from now on if it is set."""
        self._on = self.active


class QuantisedLayer(nn.Module):
    """A convolution or fully connected layer with its own input quantiser.

    Weights are rounded per output channel, symmetric, biases to 32-bit integers in units of input scale times
    weight scale, as ONNX Runtime's integer kernels hold them. Every scale is a power of two. Weights that `prune` has
    removed stay zero.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    kept: torch.Tensor
    weight_scale: torch.Tensor

    def __init__(self, shape: tuple[int, ...], signed_input: bool) -> None:
        super().__init__()
        fan_in = int(torch.tensor(shape[1:]).prod())
        self.weight = nn.Parameter(torch.randn(shape) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.register_buffer("kept", torch.ones(shape))
        self.register_buffer("weight_scale", torch.zeros(shape[0]))
        self.input = ActivationQuantiser(signed_input)
        self.weight_bits = 32
        self.masked = False
        """Whether a weight has been removed by `prune`: where none has, there is no mask to multiply with."""
        self._frozen = False

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.masked = not bool(self.kept.all())

    @property
    def levels(self) -> int:
        """Largest integer that a weight becomes."""
        return int(2 ** (self.weight_bits - 1) - 1)

    def fix_scale(self) -> None:
        """Set the step of each output channel's weights by their present values.

        It stays through the fine-tuning: a step that followed the weights would jump by a factor of two, and with it
        all of the channel's weights.
        """
        rows = (self.weight.detach() * self.kept).flatten(1)
        scale = power_of_two_scale(rows, rows.abs().amax(dim=1).clamp_min(1e-8), self.levels)
        # A channel of tiny weights, or none, must not make its bias a number that no accumulator holds.
        least = self.bias.detach().abs().clamp_min(1e-8) / (self.input.scale * _LARGEST_BIAS)
        self.weight_scale.copy_(torch.maximum(scale, torch.exp2(torch.ceil(torch.log2(least)))))

    def parameters_as_run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights and biases as the arithmetic sees them: pruned, and rounded if the layer is quantised."""
        kept = self.weight * self.kept if self.masked else self.weight
        if self.weight_bits == 32:
            return kept, self.bias
        if self._frozen:
            zero = torch.zeros(len(self.weight_scale), dtype=torch.int32)
            # For the trace. The weights have been clipped: the exporter knows the range of a whole byte only.
            return torch.fake_quantize_per_channel_affine(
                self.weight, self.weight_scale, zero, 0, _LOWEST, _HIGHEST
            ), self.bias
        weight = cast(torch.Tensor, _RoundWeights.apply(kept, self.weight_scale, self.levels))  # type: ignore[no-untyped-call]
        unit = self.weight_scale * self.input.scale
        rounded = torch.round(self.bias.detach() / unit) * unit
        return weight, self.bias + (rounded - self.bias).detach()

    def freeze(self) -> None:
        """Take the weights and biases as the arithmetic sees them for constants, for a trace of the network."""
        with torch.no_grad():
            weight, bias = self.parameters_as_run()
            self.weight.copy_(weight)
            self.bias.copy_(bias)
            self.kept.fill_(1)
        self.masked = False
        self._frozen = self.weight_bits < 32


class QuantisedConv1d(QuantisedLayer):
    """A convolution over the symbols that keeps their number, zeros beyond the ends.

    Args:
        channels_in: channels in.
        channels_out: channels out.
        signed_input: whether its input takes values below zero.
        kernel: symbols it sees at a time, odd.
    """

    def __init__(
        self, channels_in: int, channels_out: int, signed_input: bool = False, kernel: int = 1
    ) -> None:
        super().__init__((channels_out, channels_in, kernel), signed_input)
        self.padding = kernel // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, in, L] -> [N, out, L]."""
        return nn.functional.conv1d(self.input(x), *self.parameters_as_run(), padding=self.padding)

    def forward_rows(self, x: torch.Tensor) -> torch.Tensor:
        """Do the same to [N, L, in] -> [N, L, out]: one matrix product, on a CPU twice as fast as a convolution."""
        weight, bias = self.parameters_as_run()
        length = x.shape[1]
        x = self.input(x)
        if self.padding:
            x = nn.functional.pad(x, (0, 0, self.padding, self.padding))
            x = torch.cat([x[:, k : k + length] for k in range(weight.shape[2])], dim=2)
        return nn.functional.linear(x, weight.permute(0, 2, 1).flatten(1), bias)


class QuantisedLinear(QuantisedLayer):
    """A fully connected layer.

    Args:
        width_in: values in.
        width_out: values out.
        signed_input: whether its input takes values below zero.
    """

    def __init__(self, width_in: int, width_out: int, signed_input: bool = False) -> None:
        super().__init__((width_out, width_in), signed_input)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, in] -> [N, out]."""
        return nn.functional.linear(self.input(x), *self.parameters_as_run())


class QuantisedConvolution(QuantisedLayer):
    """A convolution along one or two axes, as a plain layer of torch describes it.

    Args:
        layer: `nn.Conv1d` or `nn.Conv2d` with padding in numbers and zeros; its weights are taken over.
        signed_input: whether its input takes values below zero.
    """

    def __init__(self, layer: nn.Conv1d | nn.Conv2d, signed_input: bool = False) -> None:
        super().__init__(tuple(layer.weight.shape), signed_input)
        self._convolve: Callable[..., torch.Tensor] = (
            nn.functional.conv1d if isinstance(layer, nn.Conv1d) else nn.functional.conv2d
        )
        self._how = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }
        _take_over(self, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, in, ...] -> [N, out, ...]."""
        return self._convolve(self.input(x), *self.parameters_as_run(), **self._how)


def _take_over(mine: QuantisedLayer, layer: nn.Conv1d | nn.Conv2d | nn.Linear) -> None:
    with torch.no_grad():
        mine.weight.copy_(layer.weight)
        if layer.bias is not None:
            mine.bias.copy_(layer.bias)


def integer_ready(net: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a copy of a network of plain layers whose convolutions and linear layers can round.

    A batch norm that follows a convolution in an `nn.Sequential` becomes part of it (Jacob et al. 2018, section 3.2).
    Whether a layer's input takes values below zero is seen on an example.

    Args:
        net: of `nn.Conv1d`, `nn.Conv2d`, `nn.Linear`, with batch norms after convolutions.
        example: float32 [N, ...], an input of the network.

    Returns:
        the network in evaluation mode: the same function until `quantise` sets the rounding in.

    Raises:
        AmrqError: a batch norm does not follow a convolution.
    """
    net = copy.deepcopy(net).eval()
    for chain in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        before: nn.Module | None = None
        for name, child in list(chain.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d) and isinstance(
                before, nn.Conv1d | nn.Conv2d
            ):
                _fold(before, child)
                setattr(chain, name, nn.Identity())
            before = child
    if any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules()):
        raise AmrqError(
            "a batch norm of the network does not follow a convolution, so that it cannot join it."
        )
    signed: dict[nn.Module, bool] = {}

    def see(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        signed[module] = signed.get(module, False) or bool((inputs[0] < 0).any())

    plain = (nn.Conv1d, nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_pre_hook(see) for m in net.modules() if isinstance(m, plain)]
    with torch.no_grad():
        net(example)
    for hook in hooks:
        hook.remove()
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                linear = QuantisedLinear(child.in_features, child.out_features, signed.get(child, True))
                _take_over(linear, child)
                setattr(parent, name, linear)
            elif isinstance(child, nn.Conv1d | nn.Conv2d):
                setattr(parent, name, QuantisedConvolution(child, signed.get(child, True)))
    return net.eval()


def _fold(layer: nn.Conv1d | nn.Conv2d, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Let a convolution do what the batch norm after it does."""
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = layer.bias if layer.bias is not None else torch.zeros_like(norm.running_mean)
        layer.weight.mul_(scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias = nn.Parameter((bias - norm.running_mean) * scale + norm.bias)


def quantise(
    net: nn.Module,
    weight_bits: int,
    batches: Iterable[tuple[torch.Tensor, ...]] | None,
    run: Callable[..., Any] | None = None,
) -> None:
    """Put the network's layers on integers, from the next call on.

    Args:
        net: a network of quantised layers.
        weight_bits: 2 to 8.
        batches: the network's inputs, to set all scales by, or None where a checkpoint has set them.
        run: what takes these inputs, where it is a part of the network.

    Raises:
        AmrqError: the bits are out of range, or a layer has died.
    """
    if not 2 <= weight_bits <= 8:
        raise AmrqError(f"weights can be of 2 to 8 bits, not {weight_bits}.")
    quantisers = [module for module in net.modules() if isinstance(module, ActivationQuantiser)]
    if batches is not None:
        for quantiser in quantisers:
            quantiser.observe(True)
        with torch.no_grad():
            for batch in batches:
                (run or net)(*batch)
        for quantiser in quantisers:
            quantiser.observe(False)
    for quantiser in quantisers:
        quantiser.switch()
    for module in net.modules():
        if isinstance(module, QuantisedLayer):
            module.weight_bits = weight_bits
            if batches is not None:
                module.fix_scale()
