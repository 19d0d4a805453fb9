"""A distributed AI workbench on Ray: the library. Importable without Hydra, a cluster or a network."""
