"""Network grids of every kind on small images: finer and coarser, cropped, of one voxel."""

from soars_nnunet.geometry.grid import Grid

GRIDS = {
    "upsampled": Grid((30, 28, 32), ((2, 29), (0, 28), (3, 30)), (13, 11, 17), (2.5, 1.0, 1.0)),
    "network finer": Grid((9, 20, 14), ((0, 9), (4, 20), (1, 14)), (27, 30, 31), (5.0, 1.0, 1.0)),
    "mixed": Grid((20, 24, 24), ((1, 20), (2, 23), (0, 24)), (31, 9, 24), (3.0, 1.0, 1.0)),
    "same": Grid((12, 13, 14), ((0, 12), (0, 13), (0, 14)), (12, 13, 14), (1.0, 1.0, 1.0)),
    "much coarser": Grid((32, 32, 32), ((0, 32), (0, 32), (0, 32)), (3, 4, 5), (1.0, 1.0, 1.0)),
    "much finer": Grid((8, 8, 8), ((1, 7), (0, 8), (0, 8)), (31, 32, 29), (4.0, 4.0, 4.0)),
    "one network voxel": Grid((6, 5, 4), ((0, 6), (0, 5), (1, 3)), (1, 1, 1), (1.0, 1.0, 1.0)),
    "one image voxel": Grid((4, 4, 4), ((2, 3), (1, 2), (3, 4)), (3, 2, 1), (1.0, 1.0, 1.0)),
}
