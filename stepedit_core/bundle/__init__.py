"""A bundle, one folder that is one model: manifest, weights, precision, memory."""
