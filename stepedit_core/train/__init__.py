"""Recipes, one linear file each, and the pure functions they share."""
