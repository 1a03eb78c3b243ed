"""Everything that touches the user's disk: where files go, what is sent, what is read back."""
