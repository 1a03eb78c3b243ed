"""A hundred prompts, and two more sets of forty, over five invented tables, with what is right for each."""
