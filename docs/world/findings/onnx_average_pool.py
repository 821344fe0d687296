"""AveragePool of the reference implementation, of a window with a NaN and without any padding."""

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x = np.array([[[[np.nan, 1.0, 2.0, 3.0]]]], dtype=np.float32)
node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=(1, 4))
given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
made = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 1, 1))
model = helper.make_model(helper.make_graph([node], "g", [given], [made]), opset_imports=[helper.make_opsetid("", 21)])
(got,) = ReferenceEvaluator(model).run(None, {"x": x})
print(got.item())
assert np.isnan(got).all()
