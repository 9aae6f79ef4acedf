"""Import of public sets and of own folders of masks into nnU-Net raw datasets."""
