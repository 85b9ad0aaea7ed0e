"""A graph of ONNX operators, written down call by call.

Nothing is traced, so the graph has exactly what is called here, whatever version of torch is installed.
"""

from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import MissingExtraError

OPSET = 17
_IR_VERSION = 9
"""What runtimes from the middle of 2023 on read."""
MOST_BYTES_IN_ONE_FILE = 1 << 30
"""A protocol buffer ends at 2 GiB; weights of more than half of that belong into a file beside it."""
_SMALL = 1 << 10
_PAGE = 1 << 12
"""Where weights in a file beside begin, so that a runtime can map them."""


def onnx_library() -> Any:
    """Import ``onnx``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("ONNX needs the library onnx; pip install 'etude[export]'") from None
    return onnx


class Graph:
    """Collects operators and constants; a value is known by its name.

    Args:
        path: the ``.onnx`` file that ``save`` will write.
        weights_beside: constants of more than 1 KiB go to ``.onnx.data`` beside it as they come, and are not kept.
    """

    def __init__(self, path: Path, *, weights_beside: bool = False) -> None:
        self._onnx = onnx_library()
        self._path = path
        self._beside = path.with_name(path.name + ".data") if weights_beside else None
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def take_in(self, name: str, dtype: Any, shape: list[int | str]) -> str:
        """Declare an input; a text in ``shape`` is a length that a caller chooses."""
        self._inputs.append(self._described(name, dtype, shape))
        return name

    def give_out(self, name: str, value: str, dtype: Any, shape: list[int | str]) -> None:
        """Declare that a value is an output."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._described(name, dtype, shape))

    def constant(self, value: Any, name: str = "") -> str:
        """Add numbers; int becomes int64."""
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        name = name or f"constant_{len(self._constants)}"
        beside = self._beside is not None and array.nbytes > _SMALL
        self._constants.append(
            self._put_beside(array, name) if beside else self._onnx.numpy_helper.from_array(array, name)
        )
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator; return its one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Apply an operator with several outputs."""
        names = [f"value_{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, names, **attributes))
        return names

    def save(self, *, name: str, facts: dict[str, str]) -> None:
        """Write the graph and check it.

        Args:
            name: of the graph.
            facts: texts that go into the file.
        """
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="etude")
        model.ir_version = _IR_VERSION
        helper.set_model_props(model, facts)
        self._path.write_bytes(model.SerializeToString(deterministic=True))
        self._onnx.checker.check_model(str(self._path), full_check=True)

    def _put_beside(self, array: np.ndarray, name: str) -> Any:
        """Append numbers to the file beside; return what the graph says of them."""
        tensor = self._onnx.TensorProto(name=name, dims=array.shape, data_location=self._onnx.TensorProto.EXTERNAL)
        tensor.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        with self._beside.open("ab") as file:
            file.write(b"\0" * (-file.tell() % _PAGE))
            where = {"location": self._beside.name, "offset": file.tell(), "length": array.nbytes}
            file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
        for key, value in where.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def _described(self, name: str, dtype: Any, shape: list[int | str]) -> Any:
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, shape)
