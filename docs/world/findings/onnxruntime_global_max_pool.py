"""GlobalMaxPool of ONNX Runtime, of a channel that is -inf throughout."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

x = np.full((1, 1, 1, 2), -np.inf, dtype=np.float32)
given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
made = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 1, 1))
graph = helper.make_graph([helper.make_node("GlobalMaxPool", ["x"], ["y"])], "g", [given], [made])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
(got,) = session.run(None, {"x": x})
print(got.item())
assert got.item() == -np.inf
