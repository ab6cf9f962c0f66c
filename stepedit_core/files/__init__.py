"""Files on the disk and lines on the terminal: whole writing, strict reading, tokens, charts."""
