"""Number formats of a step: half-precision networks, scaled losses, exact algorithms."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import TrainTable

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


class Entrance(nn.Module):
    """A network seen from outside: whatever is called through it runs in another precision.

    Calling the network, one of its submodules or one of their methods enters autocast and gives
    float32. Code inside the network is not touched, nor are copies of it.

    Args:
        module: what is entered.
        around: the context of every call.
        called: takes the modules that were called from outside, by id.
    """

    def __init__(
        self,
        module: nn.Module,
        around: Callable[[], AbstractContextManager[Any]],
        called: dict[int, nn.Module],
    ) -> None:
        super().__init__()
        self.module = module
        self._around, self._called = around, called
        self._inner: dict[str, Entrance] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module; floating-point results come in float32."""
        self._called.setdefault(id(self.module), self.module)
        return self._enter(self.module, *args, **kwargs)

    def _enter(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        from accelerate.utils.operations import convert_to_fp32

        with self._around():
            result = call(*args, **kwargs)
        return convert_to_fp32(result)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            value = getattr(self.module, name)
        if isinstance(value, nn.Module):
            known = self.__dict__["_inner"].get(name)
            if known is None or known.module is not value:
                known = self._inner[name] = Entrance(value, self._around, self._called)
            return known
        if inspect.ismethod(value) and value.__self__ is self.module:
            return lambda *args, **kwargs: self._enter(value, *args, **kwargs)
        return value


class Precision:
    """The number format of a recipe on a device.

    Args:
        table: the recipe's ``[train]``.
        device: where the network is.
    """

    def __init__(self, table: TrainTable, device: torch.device) -> None:
        self._dtype = _TYPES.get(table.precision)
        self._device_type = device.type
        self.called: dict[int, nn.Module] = {}
        """Modules that ``losses`` called, once the network was entered."""
        self.scaler: torch.amp.GradScaler | None = None
        if table.precision == "fp16":
            self.scaler = torch.amp.GradScaler(device.type)

    def _around(self) -> AbstractContextManager[Any]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device_type, self._dtype)

    def entrance(self, network: nn.Module, *, watch: bool = False) -> nn.Module:
        """Return the network as ``losses`` gets it.

        Args:
            network: that is trained.
            watch: note which modules are called, to compile them.
        """
        if self._dtype is None and not watch:
            return network
        return Entrance(network, self._around, self.called)


@contextmanager
def determinism(table: TrainTable, device: torch.device) -> Iterator[None]:
    """Use only algorithms that give the same bits every time, where a recipe asks for it.

    The settings of the process are as before afterwards.

    Raises:
        LatentLabError: the network needs an operation that has no such algorithm on the device.
    """
    if not table.deterministic:
        yield
        return
    cudnn: Any = torch.backends.cudnn
    exact: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    flags = cudnn.deterministic, cudnn.benchmark, exact.fill_uninitialized_memory
    workspace = os.environ.get(_CUBLAS)
    try:
        if device.type == "cuda" and workspace is None:
            # What cuBLAS documents for reproducible sums; it is read when a stream first needs it.
            os.environ[_CUBLAS] = ":4096:8"
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark = True, False
        # Filling what is overwritten anyway only costs time.
        exact.fill_uninitialized_memory = False
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise LatentLabError(
            "This network needs an operation that has no deterministic form on this device: "
            "set train.deterministic to false.",
            str(error),
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark, exact.fill_uninitialized_memory = flags
        if workspace is None:
            os.environ.pop(_CUBLAS, None)
