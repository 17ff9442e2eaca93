"""The commands, what they print, and the composition root."""
