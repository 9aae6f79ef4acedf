"""A network with the weights of a fold, ready to run."""

import torch
from prediction.cases import CPU

from soars_nnunet.cascade.record import CHECKPOINT
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.loading import load_weights


def test_a_loaded_network_is_the_trained_one_and_ready_to_run(model_copy):
    model = BranchModel(ModelFolder(model_copy), [0], CPU)
    channels, arguments = model.settings.num_channels, model.configuration.network_arch_init_kwargs
    plain = PHNN(channels, model.num_outputs, **arguments, deep_supervision=False).eval()
    weights = torch.load(model_copy / "fold_0" / CHECKPOINT, weights_only=False)["network_weights"]
    plain.load_state_dict(weights)
    new = PHNN(channels, model.num_outputs, **arguments, deep_supervision=False)
    loaded = load_weights(ModelFolder(model_copy), 0, new, CPU)
    assert not loaded.training
    data = torch.randn(1, channels, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(data), plain(data), rtol=1e-4, atol=1e-4)
