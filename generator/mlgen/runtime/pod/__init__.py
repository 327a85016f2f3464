"""What only pods do: the programs of ours there, what they are told, and how they see the author's program end."""
