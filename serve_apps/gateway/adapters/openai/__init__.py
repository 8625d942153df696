"""OpenAI's Files and Batches: batches of chat completions that ask for labels become jobs."""
