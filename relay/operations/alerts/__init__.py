"""Who is told when something is wrong: what is seen, when it is told, in which words, by which way."""
