"""The recipe of the bundled model nano; README.md here lists the commands in order."""
