"""What computes a network: torch as it comes, a program that torch makes of it, or OpenVINO."""

import copy
import logging
import warnings
from collections import OrderedDict
from functools import partial
from importlib.util import find_spec
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from im2im.inference.averaging import Network
from im2im.inference.precision import Reduced
from im2im.networks.convolution import exceeds

log = logging.getLogger(__name__)

SIZES = 8  # of tiles, for each of which OpenVINO keeps a program


class Eager:
    """The network itself, layer by layer.

    Args:
        network: BC(Z)YX → BC'(Z)YX.
        precision: "bf16" or "fp16", None: single.
    """

    def __init__(self, network: Network, precision: str | None) -> None:
        self.network = Reduced(network, precision) if precision else network

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX."""
        return self.network(batch)


class Compiled(Eager):
    """A program that ``torch.compile`` makes of a copy of the network, anew for a second size of tile, then for any size.

    On CPUs weights become part of the program, which needs a C++ compiler.

    Raises:
        ValueError: When called, torch cannot compile here.
    """

    def __init__(self, network: nn.Module, precision: str | None) -> None:
        on_cpu = all(parameter.device.type == "cpu" for parameter in network.parameters())
        program = torch.compile(copy.deepcopy(network), options={"freezing": True} if on_cpu else None)
        super().__init__(program, precision)

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX."""
        from torch._dynamo.exc import TorchDynamoException

        try:
            return super().__call__(batch)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"torch cannot compile the network here, got: {reason}; set inference.engine=null") from error


class OpenVino:
    """A program that OpenVINO makes of a copy of the network, one for each size of tile, since a network may look at sizes.

    Args:
        network: BC(Z)YX → BC'(Z)YX, on a CPU.
        precision: "bf16", where OpenVINO computes in it on this CPU; None: single.

    Raises:
        ValueError: When called, OpenVINO does not know a layer.
    """

    def __init__(self, network: nn.Module, precision: str | None) -> None:
        self.network, self.hint = copy.deepcopy(network), precision or "f32"
        if precision == "bf16" and not openvino_computes_bfloat16():
            log.info("inference.engine=openvino: it has no inference.precision=bf16 on this CPU, and computes in single precision")
            self.hint = "f32"
        self.programs: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.one_at_a_time = Lock()

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX."""
        with self.one_at_a_time:
            size = tuple(batch.shape)
            if size not in self.programs:
                self.programs[size] = self._program(batch)
                if len(self.programs) > SIZES:
                    self.programs.popitem(last=False)
            found = self.programs[size].infer([batch.contiguous().numpy()], share_inputs=True, share_outputs=False)
            return torch.from_numpy(found[0])

    def _program(self, batch: Tensor) -> Any:
        """Record the network on one batch, and translate what was recorded; by the parts that tell nobody that it was done."""
        import openvino
        from openvino.frontend import FrontEndManager, OpConversionFailure
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        thin: list[bool] = []
        hooks = [
            module.register_forward_pre_hook(partial(_look, thin)) for module in self.network.modules() if isinstance(module, nn.Conv3d)
        ]
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # that sizes are taken as constant
            recorded = torch.jit.trace(self.network, batch, check_trace=False)
            decoder, frontend = TorchScriptPythonDecoder(recorded, example_input=(batch,)), FrontEndManager().load_by_framework("pytorch")
        for hook in hooks:
            hook.remove()
        if thin and self.hint == "bf16":
            log.info(
                "inference.engine=openvino: tiles of %s compute in single precision, for bf16 is wrong in such thin ones",
                tuple(batch.shape[2:]),
            )
        settings = {"INFERENCE_PRECISION_HINT": "f32" if thin else self.hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        try:
            model = frontend.convert(frontend.load(decoder))  # which looks at the decoder as long as it works
            model.reshape(list(batch.shape))
            return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        except (RuntimeError, OpConversionFailure) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"OpenVINO cannot compute the network, got: {reason}; set inference.engine=null") from error


def openvino_computes_bfloat16() -> bool:
    """Tell whether OpenVINO computes in bfloat16 on this CPU."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _look(thin: list[bool], convolution: nn.Conv3d, inputs: tuple[Tensor, ...]) -> None:
    """Note a convolution that OpenVINO 2026.4 computes wrongly in bfloat16, or crashes in: one channel, or groups, and a long kernel."""
    if exceeds(convolution, inputs[0]) and (convolution.in_channels == 1 or convolution.groups > 1):
        thin.append(True)


ENGINES = {None: Eager, "compile": Compiled, "openvino": OpenVino}


def require_engine(name: str | None, device: torch.device) -> None:
    """Raise ValueError for another engine, or one that is not here."""
    if name not in ENGINES:
        raise ValueError(f"networks are computed by compile, openvino or null (torch as it comes), got {name}; change inference.engine")
    if name != "openvino":
        return
    if device.type != "cpu":
        raise ValueError(f"OpenVINO computes on CPUs, got {device}; set inference.engine=null, or hardware=cpu")
    if find_spec("openvino") is None:
        raise ValueError('inference.engine=openvino needs OpenVINO; pip install "microscopy-im2im[openvino]", or set inference.engine=null')
