"""A hundred prompts over five invented tables, with what is right for each."""
