"""MaxPool of ONNX Runtime, of a window that is -inf throughout."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def pooled(height, width):
    """Return the maximum of one window."""
    x = np.full((1, 1, height, width), -np.inf, dtype=np.float32)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 1, 1))
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=(height, width))
    graph = helper.make_graph([node], "g", [given], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].item()


print(pooled(1, 2), pooled(5, 5))
assert pooled(1, 2) == pooled(5, 5) == -np.inf
