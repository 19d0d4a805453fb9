"""An endpoint of a model version: which one, what it is given, its ports, how it is asked, and its life."""
