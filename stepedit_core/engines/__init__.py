"""Independent tasks on several workers: in this process, in fresh processes, or on Ray."""
