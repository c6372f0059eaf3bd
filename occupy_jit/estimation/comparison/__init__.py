"""What differs between maps on one scale: voxels, masks and parts, with errors that count all comparisons."""
