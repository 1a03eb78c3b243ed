"""Everything that talks to the Responses API: the network edge."""
