"""The algorithms over the models, one file per stage; nodes, command and library call these."""
