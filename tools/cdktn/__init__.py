"""The comparison of CDKTF's documents with those of CDK Terrain."""
