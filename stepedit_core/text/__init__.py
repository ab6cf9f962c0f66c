"""Words to prompt ids: the tokenizer, the table of edits, the prompt layouts."""
