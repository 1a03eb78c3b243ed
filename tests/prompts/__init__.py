"""A hundred prompts, and a second set of forty, over five invented tables, with what is right for each."""
