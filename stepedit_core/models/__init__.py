"""Network definitions only; each file opens with its config, whose defaults are the release's.

Parameter names are the released state_dict keys, so that a loader is nearly the identity.
"""
