"""GatherElements of the reference implementation, of the last axis, counted from the end."""

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x, index = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32), np.array([[0], [1]])


def gathered(axis):
    """Return what is gathered along an axis, or the name of an error."""
    node = helper.make_node("GatherElements", ["x", "i"], ["y"], axis=axis)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    which = helper.make_tensor_value_info("i", TensorProto.INT64, index.shape)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, index.shape)
    graph = helper.make_graph([node], "g", [given, which], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    try:
        return ReferenceEvaluator(model).run(None, {"x": x, "i": index})[0].tolist()
    except ValueError as error:
        return type(error).__name__


print(gathered(1), gathered(-1))
assert gathered(1) == gathered(-1)
