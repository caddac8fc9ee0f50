"""The house rules as code: a tree of files in, findings out. scripts/tidy runs them."""
