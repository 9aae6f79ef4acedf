from soars_nnunet.cli import channels


def test_channels_before_training_names_folds_and_commands(refused, stratified):
    line = refused(channels.main, "-d", 42, "--device", "cpu")
    assert "fold(s) [0, 1]" in line
    for fold in (0, 1):
        assert f"nnUNetv2_train 421 3d_fullres {fold} -tr SOARSAnchorTrainer" in line
