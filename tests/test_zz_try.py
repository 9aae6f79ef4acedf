import os
def test_a(untrained_cascade):
    print(os.environ["nnUNet_raw"], untrained_cascade.splits())
