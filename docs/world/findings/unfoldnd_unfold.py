"""unfoldNd of a row with a NaN, beside F.unfold of it."""

import torch
import unfoldNd

x = torch.tensor([[[[1.0, torch.nan, 3.0, 4.0]]]])
got, expected = unfoldNd.unfoldNd(x, (1, 2), stride=(1, 2)), torch.nn.functional.unfold(x, (1, 2), stride=(1, 2))
print(got.flatten().tolist(), expected.flatten().tolist())
assert torch.equal(got.nan_to_num(), expected.nan_to_num())
