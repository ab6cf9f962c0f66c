"""What is measured on a result: effect, voice, words, pitch. Nothing here makes sound."""
