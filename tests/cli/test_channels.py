from soars_nnunet.cli import channels


def test_channels_before_planning_name_the_command(refused, stratified):
    line = refused(channels.main, "-d", 42, "--device", "cpu")
    assert "expected plans of Dataset042_Neck, which has none; run soars-plan -d 42" in line
